"""What `python -m benchmarks.quality` writes; its scores are tested where `evaluate` is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from slimserve.pictures.palette import colours

from benchmarks.quality.contact_sheet import CELL, Row, draw
from benchmarks.quality.procedures import PROCEDURES
from tests.conftest import ROOT, run_module


def test_unknown_number_of_scenes_is_a_usage_error() -> None:
    result = run_module("benchmarks.quality", "--scenes", "0")
    assert result.returncode == 2
    assert "must be 1 or more" in result.stderr


def test_contact_sheet_shows_every_label_map_in_the_colour_of_its_class(tmp_path: Path) -> None:
    names = ["sky", "sea", "sand"]
    label_maps = [np.full((90, 120), label, np.uint8) for label in range(3)]
    draw(
        tmp_path / "sheet.png",
        ["truth", "ours", "theirs"],
        [Row(np.zeros((90, 120, 3), np.uint8), label_maps)],
        names,
    )
    sheet = np.asarray(Image.open(tmp_path / "sheet.png").convert("RGB"))
    middles = [sheet[22 + CELL[1] // 2, 6 + column * (CELL[0] + 6) + CELL[0] // 2] for column in (1, 2, 3)]
    np.testing.assert_array_equal(middles, colours(np.arange(3)))


def test_what_is_finer_was_measured_to_be_better() -> None:
    """The figures on the page about the quality of label maps: `make quality` writes them."""
    results = json.loads((ROOT / "benchmarks" / "quality.json").read_text())
    by_name = {row.pop("procedure"): row for row in results["procedures"]}
    found = {procedure.short: by_name[procedure.name] for procedure in PROCEDURES}
    for better, worse in [
        ("bilinear", "tutorial"),
        ("bilinear", "nearest"),
        ("guided", "bilinear"),
        ("stride 8", "bilinear"),
        ("FCN-16s", "bilinear"),
        ("FCN-8s", "bilinear"),
    ]:
        for figure in ("mean_iou", "pixel_accuracy", "boundary_f_score"):
            assert found[better][figure] > found[worse][figure], (better, worse, figure)


@pytest.mark.soak
def test_short_run_prints_the_figures_of_every_procedure() -> None:
    result = run_module("benchmarks.quality", "--scenes", "1", "--json")
    assert result.returncode == 0, result.stderr
    rows = json.loads(result.stdout)["procedures"]
    assert [row["procedure"] for row in rows] == [procedure.name for procedure in PROCEDURES]
    assert all(0 <= row[figure] <= 1 for row in rows for figure in ("mean_iou", "boundary_f_score"))
