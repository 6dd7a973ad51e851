"""The demo checkpoint, exported with default options, on pictures it has not seen."""

from __future__ import annotations

import numpy as np
import pytest
from slimserve.export.demo.landscape import demo_scene
from slimserve.export.demo.scenes import CLASS_NAMES
from slimserve.export.demo.textures import TEXTURES

from tests.support.saved_model import SavedModel
from tests.support.scenes import random_scene

SCENES, SINGLES = 50, 5  # behind `make soak`; two of the scenes and one picture of each texture here
SAMPLE = 2


@pytest.fixture(scope="module", params=[1, pytest.param(SINGLES, marks=pytest.mark.soak)])
def classified(aligned: SavedModel, request: pytest.FixtureRequest) -> list[tuple[str, str, float]]:
    """Class, its best ranked name and score, of single textures from 224 to 512 pixels a side."""
    answers = []
    random = np.random.default_rng(2024)
    for name in CLASS_NAMES * request.param:
        height, width = (int(side) for side in random.integers(224, 513, 2))
        answer = aligned("classify", images=TEXTURES[name](random, height, width)[None])
        answers.append((name, answer["class_names"][0, 0].decode(), float(answer["scores"][0, 0])))
    return answers


@pytest.mark.parametrize("scenes", [SAMPLE, pytest.param(SCENES, marks=pytest.mark.soak)])
def test_segment_is_right_on_unseen_scenes(aligned: SavedModel, scenes: int) -> None:
    right = []
    for seed in range(scenes):
        image, label_map = random_scene(np.random.default_rng([2024, seed]))
        right.append(np.mean(aligned("segment", images=image[None])["label_map"][0] == label_map))
    assert np.mean(right) >= 0.95


def test_segment_finds_every_class_of_the_demo_scene(aligned: SavedModel) -> None:
    image, label_map = demo_scene()
    found = aligned("segment", images=image[None])["label_map"][0]
    overlap = {
        name: np.mean(found[label_map == class_id] == class_id) for class_id, name in enumerate(CLASS_NAMES)
    }
    assert min(overlap.values()) > 0.6, overlap
    assert np.mean(found == label_map) >= 0.9


def test_classify_is_right_on_unseen_textures(classified: list) -> None:
    assert np.mean([name == found for name, found, _ in classified]) >= 0.98


def test_scores_of_clear_pictures_are_high(classified: list) -> None:
    assert np.median([score for _, _, score in classified]) >= 0.8
