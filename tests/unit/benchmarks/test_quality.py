"""The figures of `python -m benchmarks.quality` against brute force, and what the command writes."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from slimserve.pictures.palette import colours

from benchmarks.quality.contact_sheet import CELL, Row, draw
from benchmarks.quality.procedures import PROCEDURES
from benchmarks.quality.scores import boundary_f_score, confusion, mean_iou, pixel_accuracy
from tests.conftest import ROOT, run_module

CLASSES = 4


def label_maps(seed: int, height: int = 24, width: int = 31) -> tuple[np.ndarray, np.ndarray]:
    """A map of blocks, and the same with some of them other and everything moved a little."""
    random = np.random.default_rng(seed)
    truth = np.kron(random.integers(0, CLASSES, (4, 5)), np.ones((8, 8))).astype(np.uint8)[:height, :width]
    found = np.roll(truth, random.integers(0, 3, 2), axis=(0, 1))
    found[random.random(found.shape) < 0.02] = 0
    return truth, found


def test_pixel_accuracy_is_the_fraction_of_equal_pixels() -> None:
    truth, found = label_maps(0)
    assert pixel_accuracy(confusion(truth, found, CLASSES)) == pytest.approx(np.mean(truth == found))


def test_scenes_are_counted_together() -> None:
    scenes = [label_maps(seed) for seed in range(3)]
    together = sum(confusion(*scene, CLASSES) for scene in scenes)
    apart = [np.concatenate([scene[side] for scene in scenes]) for side in (0, 1)]
    np.testing.assert_array_equal(together, confusion(*apart, CLASSES))


def test_mean_iou_is_that_of_sets_of_pixels() -> None:
    truth, found = label_maps(1)
    ratios = []
    for label in set(truth.flat):
        true, ours = ({*map(tuple, np.argwhere(side == label))} for side in (truth, found))
        ratios.append(len(true & ours) / len(true | ours))
    assert mean_iou(confusion(truth, found, CLASSES)) == pytest.approx(np.mean(ratios))


def test_class_that_is_nowhere_does_not_count() -> None:
    truth, found = np.zeros((2, 2), np.uint8), np.array([[0, 0], [0, 3]], np.uint8)
    assert mean_iou(confusion(truth, found, CLASSES)) == pytest.approx(3 / 4)


def boundary(mask: np.ndarray) -> list[tuple[int, int]]:
    height, width = mask.shape
    inside = set(itertools.product(range(height), range(width)))
    return [
        (y, x)
        for y, x in np.argwhere(mask).tolist()
        if any(
            place in inside and not mask[place] for place in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1))
        )
    ]


def brute_f_score(truth: np.ndarray, found: np.ndarray) -> float:
    """Every boundary pixel against every other."""
    scores = []
    for label in np.unique(truth):
        true, ours = (np.array(boundary(side == label)) for side in (truth, found))
        if not len(true) or not len(ours):
            scores.append(float(len(true) == len(ours)))
            continue
        near = np.linalg.norm(true[:, None] - ours[None], axis=-1) <= 0.0075 * np.hypot(*truth.shape)
        precision, recall = near.any(0).mean(), near.any(1).mean()
        scores.append(2 * precision * recall / (precision + recall) if precision + recall else 0.0)
    return float(np.mean(scores))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("size", [(24, 31), (32, 40)])
def test_boundary_f_score_is_that_of_every_pair_of_pixels(seed: int, size: tuple[int, int]) -> None:
    truth, found = (np.kron(side, np.ones((5, 5), np.uint8)) for side in label_maps(seed, *size))
    assert boundary_f_score(truth, found) == pytest.approx(brute_f_score(truth, found))


def test_perfect_label_map_scores_1() -> None:
    truth, _ = label_maps(2)
    matrix = confusion(truth, truth, CLASSES)
    assert pixel_accuracy(matrix) == mean_iou(matrix) == boundary_f_score(truth, truth) == 1


def test_boundary_that_is_not_found_scores_0() -> None:
    truth = np.zeros((10, 10), np.uint8)
    truth[:, 5:] = 1
    assert boundary_f_score(truth, np.zeros_like(truth)) == 0


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
