"""The demo checkpoint in 8 bits, on scenes that neither it nor its ranges have seen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from tests.support.saved_model import SavedModel
from tests.support.scenes import random_scene

pytestmark = pytest.mark.soak
SCENES = 16


class Scores(NamedTuple):
    """Fractions of pixels, one of each for each scene: right in float32, right in int8, the same in both."""

    float32: list[float]
    int8: list[float]
    same: list[float]


@pytest.fixture(scope="module")
def record(int8: Path) -> dict[str, Any]:
    """What the export says of itself."""
    found: dict[str, Any] = json.loads((int8 / "assets.extra" / "export.json").read_text())
    return found


@pytest.fixture(scope="module")
def scores(int8: Path, aligned: SavedModel) -> Scores:
    scores = Scores([], [], [])
    with SavedModel(int8, rewritten=True) as model:
        for seed in range(SCENES):
            image, label_map = random_scene(np.random.default_rng([2024, seed]))
            expected = aligned("segment", images=image[None])["label_map"][0]
            found = model("segment", images=image[None])["label_map"][0]
            scores.float32.append(float(np.mean(expected == label_map)))
            scores.int8.append(float(np.mean(found == label_map)))
            scores.same.append(float(np.mean(found == expected)))
    return scores


def test_accuracy_stays_within_a_point_of_float32(scores: Scores) -> None:
    assert np.mean(scores.int8) >= np.mean(scores.float32) - 0.01, scores


def test_label_maps_agree_with_float32_as_the_export_says(scores: Scores, record: dict[str, Any]) -> None:
    stated = record["calibration"]["agreement"]["label_map"]
    assert np.mean(scores.same) == pytest.approx(stated, abs=0.03)
    assert min(np.mean(scores.same), stated) >= 0.95


def test_version_folder_is_a_quarter_of_float32(int8: Path, models: Path) -> None:
    def size(folder: Path) -> int:
        return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())

    assert size(int8) <= 0.28 * size(models / "vgg_16" / "1")
