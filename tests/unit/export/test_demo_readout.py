"""The closed-form last layer against the textbook formulas."""

from __future__ import annotations

import numpy as np
import pytest
from slimserve.export.demo.readout import best_scale, ridge
from slimserve.export.demo.scenes import CLASS_NAMES
from slimserve.export.demo.training import cell_areas, cell_scores

from tests.support.numpy_reference import resize_bilinear

ROWS, FEATURES, CLASSES = 40, 60, 3


@pytest.fixture
def problem() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    features = random.standard_normal((ROWS, FEATURES), dtype=np.float32) + 5
    return features, random.random((ROWS, CLASSES), dtype=np.float32)


def test_ridge_is_the_solution_of_the_normal_equations(problem: tuple[np.ndarray, np.ndarray]) -> None:
    features, targets = (part.astype(np.float64) for part in problem)
    rows = features - features.mean(0)
    penalty = 0.1 * np.mean(np.sum(rows**2, axis=1))
    weights = np.linalg.solve(
        rows.T @ rows + penalty * np.eye(FEATURES), rows.T @ (targets - targets.mean(0))
    )
    readout = ridge(*problem, strength=0.1)
    np.testing.assert_allclose(readout.weights, weights, atol=1e-9)
    np.testing.assert_allclose(readout.biases, targets.mean(0) - features.mean(0) @ weights, atol=1e-7)


def test_ridge_passes_through_the_mean(problem: tuple[np.ndarray, np.ndarray]) -> None:
    features, targets = problem
    logits = ridge(features, targets, strength=0.1).logits(features)
    np.testing.assert_allclose(logits.mean(0), targets.mean(0), atol=1e-6)


def test_best_scale_finds_the_temperature_that_labels_were_drawn_at() -> None:
    random = np.random.default_rng(1)
    logits = random.standard_normal((4000, 5))
    scores = np.exp(7 * logits)
    scores /= scores.sum(1, keepdims=True)
    drawn = [random.choice(5, p=row) for row in scores]
    assert best_scale(logits, np.eye(5, dtype=np.float32)[drawn]) == pytest.approx(7, rel=0.1)


def test_cell_areas_are_shares_of_the_pixels_without_padding() -> None:
    label_map = np.zeros((210, 220), np.uint8)
    label_map[:, 40:] = 1
    areas = cell_areas(label_map)
    assert areas.shape == (7, 7, len(CLASS_NAMES))
    np.testing.assert_allclose(areas.sum(-1), 1)
    np.testing.assert_allclose(areas[:, 0, 0], 1)
    np.testing.assert_allclose(areas[:, 1, :2], [[0.25, 0.75]] * 7)
    np.testing.assert_allclose(areas[:, 2:, 1], 1)


def test_interpolated_cell_scores_are_the_label_map_where_they_can_be() -> None:
    label_map = np.zeros((224, 200), np.uint8)
    label_map[:, 96:] = 1
    scores = resize_bilinear(cell_scores(label_map), 224, 224)[:, :200]
    assert (scores.argmax(-1) == label_map).mean() > 0.99
