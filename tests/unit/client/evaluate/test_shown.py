"""What `evaluate` shows: tables and the page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from slimserve.cli.main import main

from tests.unit.client.evaluate.conftest import Model, Run


def test_the_tables_name_what_they_show(
    colours: Path, model: Model, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(colours)
    monkeypatch.setenv("COLUMNS", "120")
    model.confuses[2] = {0: 1}
    words = [
        "evaluate",
        "photos",
        "--truth",
        "truth.csv",
        "--server",
        model.address,
        "--against-version",
        "2",
    ]
    assert main(words) == 0
    output = capsys.readouterr()
    top_1 = next(line.split() for line in output.out.splitlines() if line.strip().startswith("top-1"))
    assert [line.strip() for line in output.out.splitlines()[:3]] == [
        f"first: vgg_16 version 1 on {model.address}",
        f"second: vgg_16 version 2 on {model.address}",
        "6 images",
    ]
    assert " ".join(top_1[:7]) == "top-1 100.00 % 83.33 % -16.67 %"
    assert "percentile bootstrap" in output.out
    assert "McNemar's exact test" in output.out
    assert "fewer than 30 images" in output.out
    assert output.err.startswith("classify: truth.csv is a table of classes")


@pytest.mark.parametrize("truth", ["truth.csv", "maps"])
def test_the_page_has_the_worst_images_first(
    truth: str, request: pytest.FixtureRequest, run: Run, model: Model, tmp_path: Path
) -> None:
    request.getfixturevalue("colours" if truth == "truth.csv" else "flags")
    model.confuses[1] = {2: 1}
    result = run(truth, "--report", "pages/report.html")
    page = (tmp_path / "pages" / "report.html").read_text()
    headings = re.findall(r"<h2><bdi>(.*?)</bdi></h2>", page)
    assert headings == [Path(each["image"]).name for each in result["worst_first"]]
    assert page.count('<div class="compare">') == (len(headings) if truth == "maps" else 0)
    assert 'class="missing"' not in page


@pytest.mark.parametrize("report", ["photos/red.png", "evaluation/evaluation.jsonl", "photos"])
def test_a_page_never_replaces_another_file_of_the_run(
    colours: Path, run: Run, model: Model, report: str
) -> None:
    assert f"the report {report} " in run("truth.csv", "--report", report, status=1)["said"]
    assert model.images == 0
