"""The benchmarks run and report; how fast anything is, they say, not these tests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.rows import Figure, Row, as_json, fraction
from benchmarks.side import BenchmarkError, Side
from tests.conftest import run_module


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
