"""The benchmarks run and report; how fast anything is, they say, not these tests."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import cli, table
from benchmarks.rows import Figure, Row, Series, as_json, entry_of, fraction
from benchmarks.run import Run
from benchmarks.side import BenchmarkError, Side
from tests.conftest import ROOT, run_module


def row(ours: float, theirs: float | None, at_most: float | None) -> Row:
    peer = None if theirs is None else Figure.of([theirs], "seconds")
    return Row("parse", Figure.of([ours], "seconds"), "peer", peer, at_most)


def test_quick_run_reports_ratios_as_json() -> None:
    result = run_module("benchmarks", "--quick", "--no-peers", "--json", "--only", "encode")
    assert result.returncode == 0, result.stderr
    results = json.loads(result.stdout)
    missing, measured = results["rows"]
    assert missing["against"] == "ovmsclient"
    assert missing["theirs"] is missing["ratio"] is missing["met"] is None
    assert measured["ratio"] == measured["ours"]["median"] / measured["theirs"]["median"]
    assert measured["ours"]["count"] == 3
    assert results["machine"]["cores"] >= 1


def test_unknown_benchmark_is_a_usage_error() -> None:
    result = run_module("benchmarks", "--only", "fastest")
    assert result.returncode == 2
    assert "parse-logits" in result.stderr


def test_figure_is_the_median_between_its_quartiles() -> None:
    figure = Figure.of([0.005, 0.001, 0.002, 0.003, 0.004], "seconds")
    assert (figure.low, figure.median, figure.high) == (0.002, 0.003, 0.004)
    assert str(figure) == "3 ms (2 to 4)"


@pytest.mark.parametrize(
    ("ours", "theirs", "at_most", "met"),
    [(1.0, 6.0, 1 / 6, True), (1.0, 5.9, 1 / 6, False), (1.0, None, 1 / 6, None), (1.0, 2.0, None, None)],
)
def test_target_is_met_when_the_ratio_is_at_most_it(
    ours: float, theirs: float | None, at_most: float | None, met: bool | None
) -> None:
    assert row(ours, theirs, at_most).met is met


def test_what_this_machine_cannot_run_has_no_ratio_and_misses_nothing() -> None:
    peer = Figure.of([1.0], "seconds")
    absent = Row("logits, x86 bfloat16", None, "plain", peer, 1 / 2.2, "cannot be run here")
    assert (absent.ratio, absent.met, as_json(absent)["ours"]) == (None, None, None)


@pytest.mark.parametrize(
    "entry",
    [row(1.0, 2.0, 0.5), row(1.0, None, None), Series("grows", "side", ((2, Figure.of([1.0], "bytes")),))],
)
def test_entry_is_read_as_it_was_written(entry: Row | Series) -> None:
    assert entry_of(json.loads(json.dumps(as_json(entry)))) == entry


@pytest.fixture
def two_benchmarks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Benchmarks `first`, which finds a row, and `second`, which is stopped; what has run."""
    ran: list[str] = []

    def first(run: Run) -> Iterator[Row]:
        ran.append("first")
        yield row(1.0, 2.0, 0.5)

    def second(run: Run) -> Iterator[Row]:
        ran.append("second")
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "BENCHMARKS", {"first": first, "second": second})
    for name in ("_KEPT", "_RESULTS", "_PAGE", "_PLOT"):
        monkeypatch.setattr(cli, name, tmp_path / name)
    return ran


def stopped(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    """The rows of a run that is stopped."""
    assert cli.main(["--no-peers", "--json", "--only", "first", "second", *arguments]) == 130
    rows: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["rows"]
    return rows


def test_run_that_was_stopped_shows_what_it_measured_and_goes_on(
    two_benchmarks: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    rows = stopped(capsys)
    assert [entry["ratio"] for entry in rows] == [0.5]
    assert stopped(capsys, "--resume") == rows
    assert two_benchmarks == ["first", "second", "second"]
    stopped(capsys)
    assert two_benchmarks[3:] == ["first", "second"]


def test_benchmark_that_fails_leaves_the_others(
    two_benchmarks: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(run: Run) -> Iterator[Row]:
        raise BenchmarkError("no such file")
        yield

    monkeypatch.setattr(cli, "BENCHMARKS", {"failing": failing, "first": cli.BENCHMARKS["first"]})
    assert cli.main(["--no-peers", "--json", "--only", "failing", "first"]) == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out)["failed"] == {"failing": "no such file"}
    assert len(json.loads(printed.out)["rows"]) == 1
    assert "failing" in printed.err


def test_nothing_to_go_on_with_is_said(two_benchmarks: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--resume"]) == 1
    assert "leave out --resume" in capsys.readouterr().err
    assert two_benchmarks == []


def test_ratio_is_written_as_it_is_talked_about() -> None:
    assert [fraction(ratio) for ratio in (1 / 6, 1.04, 15)] == ["1/6", "1.04", "15"]


def test_failed_side_says_why(tmp_path: Path) -> None:
    missing = str(tmp_path / "nothing")
    with (
        Side("benchmarks.models:copy_with_fsync", source=missing, target=missing) as side,
        pytest.raises(BenchmarkError, match="No such file"),
    ):
        side.step()


def test_side_measures_the_memory_of_its_step() -> None:
    with Side("benchmarks.wire:encode_ours") as side:
        step = side.step()
    request = 1024 * 1024 * 3  # bytes; the kernel counts to within some pages of each thread
    assert step.peak - step.before > 0.9 * request


def test_documentation_has_a_line_for_all_that_was_measured() -> None:
    assert table.PAGE.read_text("utf-8") == table.page(json.loads(table.RESULTS.read_text("utf-8")))


def test_documentation_gives_the_ratios_that_were_measured() -> None:
    section = (ROOT / "docs" / "results.md").read_text().partition("## How fast")[2].partition("\n## ")[0]
    stated = re.findall(r"^\| (.+?) \| (.+?) \| ([\d/.]+) \|$", section, re.MULTILINE)
    rows = json.loads((ROOT / "benchmarks" / "results.json").read_text())["rows"]
    measured = {(row["what"], row["against"]): fraction(row["ratio"]) for row in rows if row["ratio"]}
    assert len(stated) >= 10
    assert {(what, against): ratio for what, against, ratio in stated}.items() <= measured.items()
