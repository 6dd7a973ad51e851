"""The scores of label maps against brute force: sets of pixels, and every boundary pixel against every other."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from slimserve.cli.verbs.evaluate.scores import (
    BOUNDARY_TOLERANCE,
    Pixels,
    boundary_f_score,
    boundary_f_scores,
    confusion,
    iou,
    mean_iou,
    pixel_accuracy,
)

CLASSES = 4
IGNORED = 255


def label_maps(seed: int, height: int = 24, width: int = 31) -> tuple[np.ndarray, np.ndarray]:
    """A map of blocks, and the same with some of them other and everything moved a little."""
    random = np.random.default_rng(seed)
    truth = np.kron(random.integers(0, CLASSES, (4, 5)), np.ones((8, 8))).astype(np.uint8)[:height, :width]
    found = np.roll(truth, random.integers(0, 3, 2), axis=(0, 1))
    found[random.random(found.shape) < 0.02] = 0
    return truth, found


def with_ignored(truth: np.ndarray, seed: int) -> np.ndarray:
    """A band along some borders, as in PASCAL VOC, and a corner are not known."""
    truth = truth.copy()
    changes = np.zeros(truth.shape, bool)
    changes[1:] |= truth[1:] != truth[:-1]
    keep = np.random.default_rng(seed).random(truth.shape) < 0.3
    truth[changes & ~keep] = IGNORED
    truth[:6, :9] = IGNORED
    return truth


def test_pixel_accuracy_is_the_fraction_of_equal_pixels() -> None:
    truth, found = label_maps(0)
    assert pixel_accuracy(Pixels.of(confusion(truth, found, truth < 99), range(CLASSES))) == pytest.approx(
        np.mean(truth == found)
    )


def test_images_are_counted_together() -> None:
    scenes = [label_maps(seed) for seed in range(3)]
    apart = [np.concatenate([scene[side] for scene in scenes]) for side in (0, 1)]
    every = np.concatenate([confusion(*scene, np.ones((24, 31), bool)) for scene in scenes])
    one = confusion(*apart, np.ones((72, 31), bool))
    for a, b in zip(Pixels.of(every, range(CLASSES)), Pixels.of(one, range(CLASSES)), strict=False):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("seed", range(3))
def test_iou_is_that_of_sets_of_judged_pixels(seed: int) -> None:
    truth, found = label_maps(seed)
    truth = with_ignored(truth, seed)
    judged = {place for place in itertools.product(range(24), range(31)) if truth[place] != IGNORED}
    ratios = {}
    for label in {truth[place] for place in judged}:
        true = {place for place in judged if truth[place] == label}
        ours = {place for place in judged if found[place] == label}
        ratios[label] = len(true & ours) / len(true | ours)
    pixels = Pixels.of(confusion(truth, found, truth != IGNORED), range(CLASSES))
    assert iou(pixels)[list(ratios)] == pytest.approx(list(ratios.values()))
    assert mean_iou(pixels) == pytest.approx(np.mean(list(ratios.values())))


def test_a_class_that_is_nowhere_in_the_truth_has_no_iou() -> None:
    truth, found = np.zeros((2, 2), np.uint8), np.array([[0, 0], [0, 3]], np.uint8)
    pixels = Pixels.of(confusion(truth, found, truth < 99), range(CLASSES))
    assert mean_iou(pixels) == pytest.approx(3 / 4)
    np.testing.assert_array_equal(np.isnan(iou(pixels)), [False, True, True, True])


def test_the_figures_of_many_matrices_at_once_are_those_of_each() -> None:
    pixels = [
        Pixels.of(confusion(*label_maps(seed), np.ones((24, 31), bool)), range(CLASSES)) for seed in range(5)
    ]
    together = Pixels(*map(np.stack, zip(*pixels, strict=True)))
    for figure in (mean_iou, pixel_accuracy):
        np.testing.assert_array_equal(figure(together), [figure(each) for each in pixels])


def boundary(labels: np.ndarray, label: int) -> list[tuple[int, int]]:
    values = dict(np.ndenumerate(labels))
    return [
        (y, x)
        for y, x in np.argwhere(labels == label).tolist()
        if any(
            values.get(place, label) != label for place in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1))
        )
    ]


def brute_f_scores(truth: np.ndarray, found: np.ndarray) -> dict[int, float]:
    """Every boundary pixel against every other; a found one that is ignored counts where it is right."""
    scores = {}
    for label in sorted(set(truth.flat) - {IGNORED}):
        true, ours = (np.array(boundary(side, label)).reshape(-1, 2) for side in (truth, found))
        away = np.linalg.norm(ours[:, None] - true[None], axis=-1)
        near = away <= BOUNDARY_TOLERANCE * np.hypot(*truth.shape)
        counted = near.any(1)[near.any(1) | (truth[tuple(ours.T)] != IGNORED)]
        if not len(true) or not len(counted):
            scores[label] = float(len(true) == len(counted))
            continue
        precision, recall = counted.mean(), near.any(0).mean()
        scores[label] = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return scores


@pytest.mark.parametrize("ignored", [False, True])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("size", [(24, 31), (32, 40)])
def test_boundary_f_score_is_that_of_every_pair_of_pixels(
    seed: int, size: tuple[int, int], ignored: bool
) -> None:
    truth, found = (np.kron(side, np.ones((5, 5), np.uint8)) for side in label_maps(seed, *size))
    if ignored:
        truth = with_ignored(truth, seed)
    expected = brute_f_scores(truth, found)
    assert boundary_f_scores(truth, found, truth != IGNORED) == pytest.approx(expected)
    if not ignored:
        assert boundary_f_score(truth, found) == pytest.approx(np.mean(list(expected.values())))


def test_a_perfect_label_map_scores_1() -> None:
    truth, _ = label_maps(2)
    pixels = Pixels.of(confusion(truth, truth, truth < 99), range(CLASSES))
    assert pixel_accuracy(pixels) == mean_iou(pixels) == boundary_f_score(truth, truth) == 1


def test_what_is_found_where_the_truth_is_ignored_does_not_count() -> None:
    truth = np.zeros((40, 40), np.uint8)
    truth[:, 20:] = 1
    truth[:10] = IGNORED
    found = truth.copy()
    found[:9] = np.random.default_rng(0).integers(0, CLASSES, (9, 40))
    judged = truth != IGNORED
    pixels = Pixels.of(confusion(truth, found, judged), range(256))
    assert pixel_accuracy(pixels) == mean_iou(pixels) == 1
    assert boundary_f_scores(truth, found, judged)[1] == pytest.approx(brute_f_scores(truth, found)[1])


def test_a_boundary_that_is_not_found_scores_0() -> None:
    truth = np.zeros((10, 10), np.uint8)
    truth[:, 5:] = 1
    assert boundary_f_score(truth, np.zeros_like(truth)) == 0


def test_a_boundary_where_there_is_none_scores_0() -> None:
    found = np.zeros((10, 10), np.uint8)
    found[:, 5:] = 1
    assert boundary_f_score(np.zeros_like(found), found) == 0
