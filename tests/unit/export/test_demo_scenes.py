"""Generated pictures: what the demo, the accuracy tests and the benchmarks look at."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from slimserve.export.demo.landscape import demo_scene
from slimserve.export.demo.scenes import CLASS_NAMES, MIN_SHARE, compose
from slimserve.export.demo.textures import TEXTURES


def texture(name: str, seed: int, height: int = 96, width: int = 120) -> np.ndarray:
    return TEXTURES[name](np.random.default_rng(seed), height, width)


def test_there_are_at_least_eight_classes() -> None:
    assert len(CLASS_NAMES) >= 8


@pytest.mark.parametrize("name", CLASS_NAMES)
@pytest.mark.parametrize("size", [(1, 1), (5, 300), (97, 131)])
def test_texture_fills_any_size(name: str, size: tuple[int, int]) -> None:
    image = texture(name, 0, *size)
    assert image.shape == (*size, 3)
    assert image.dtype == np.uint8


@pytest.mark.parametrize("name", CLASS_NAMES)
def test_texture_is_the_same_for_the_same_seed_alone(name: str) -> None:
    assert np.array_equal(texture(name, 1), texture(name, 1))
    assert not np.array_equal(texture(name, 1), texture(name, 2))


def test_textures_differ_between_classes_more_than_within() -> None:
    def look(name: str, seed: int) -> np.ndarray:
        pixels = texture(name, seed, 200, 200).reshape(-1, 3)
        return np.concatenate([pixels.mean(0), pixels.std(0)])

    looks = {name: np.array([look(name, seed) for seed in range(5)]) for name in CLASS_NAMES}
    for one, other in itertools.combinations(CLASS_NAMES, 2):
        within = max(np.linalg.norm(looks[n] - looks[n].mean(0), axis=1).mean() for n in (one, other))
        assert np.linalg.norm(looks[one].mean(0) - looks[other].mean(0)) > 2 * within, (one, other)


def test_scene_is_the_same_for_the_same_seed_alone() -> None:
    first, again, other = (compose(np.random.default_rng(seed), 150, 180, 3) for seed in (3, 3, 4))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


@pytest.mark.parametrize("regions", range(1, 7))
def test_scene_has_as_many_textures_as_asked_for_and_none_is_a_sliver(regions: int) -> None:
    image, label_map = compose(np.random.default_rng(regions), 230, 310, regions)
    assert (image.shape, image.dtype) == ((230, 310, 3), np.uint8)
    assert (label_map.shape, label_map.dtype) == ((230, 310), np.uint8)
    shares = np.bincount(label_map.ravel(), minlength=len(CLASS_NAMES)) / label_map.size
    assert np.count_nonzero(shares) == regions
    assert shares[shares > 0].min() >= MIN_SHARE


def test_pixels_of_a_scene_carry_the_texture_of_their_label() -> None:
    image, label_map = compose(np.random.default_rng(8), 300, 400, 4)
    for class_id in np.unique(label_map):
        seen = image[label_map == class_id].mean(0)
        looks = [texture(name, 0, 200, 200).reshape(-1, 3).mean(0) for name in CLASS_NAMES]
        assert np.linalg.norm(looks - seen, axis=1).argmin() == class_id


def test_demo_scene_shows_every_texture() -> None:
    image, label_map = demo_scene()
    assert image.shape == (480, 640, 3)
    shares = np.bincount(label_map.ravel(), minlength=len(CLASS_NAMES)) / label_map.size
    assert shares.min() > 0.02


def test_demo_scene_never_changes() -> None:
    assert np.array_equal(demo_scene()[0], demo_scene()[0])
