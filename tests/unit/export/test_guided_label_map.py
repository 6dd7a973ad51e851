"""The guided label map against the filter's definition in float64."""

from __future__ import annotations

import functools
import subprocess
import sys
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
from slimserve.export.errors import ExportError
from slimserve.export.graph.heads import guided as heads_guided
from slimserve.export.graph.heads.guided import guided_label_map
from slimserve.export.graph.heads.label_map import aligned_places, bilinear_label_map, stretched_places
from slimserve.export.networks import NETWORKS
from slimserve.export.plan.options import GraphOptions
from slimserve.export.verify.reference import guided
from slimserve.export.verify.reference.answers import check_label_map
from slimserve.export.verify.reference.pixel_scores import NEVER

from tests.conftest import ROOT


class Head:
    """Label maps of scores [h, w, C] and an image; cells lie `spacing` pixels apart, or are stretched to it with 0."""

    def __init__(self, spacing: int, centre: float, reach: int) -> None:
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        with self._session.graph.as_default():
            self._logits = tf.compat.v1.placeholder(tf.float32, [None, None, None])
            self._image = tf.compat.v1.placeholder(tf.uint8, [None, None, 3])
            size = tf.shape(self._image)[:2]
            places = aligned_places(size, spacing, centre) if spacing else None
            places = places or stretched_places(size, tf.shape(self._logits)[:2])
            self._places = places
            self._labels = guided_label_map(self._logits, self._image, places, reach)
            self._bilinear = bilinear_label_map(self._logits, places)

    def __call__(self, logits: np.ndarray, image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Guided labels, bilinear ones, and where the pixels lie."""
        feed = {self._logits: logits, self._image: image}
        return self._session.run((self._labels, self._bilinear, self._places), feed)


head = functools.cache(Head)


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Coloured blobs under noise."""
    rng = np.random.default_rng(seed)
    blobs = np.kron(rng.integers(0, 256, (height // 20 + 1, width // 20 + 1, 3)), np.ones((20, 20, 1)))
    return np.clip(blobs[:height, :width] + rng.normal(0, 20, (height, width, 3)), 0, 255).astype(np.uint8)


def scores(height: int, width: int, classes: int, seed: int = 0) -> np.ndarray:
    """A class well ahead in each half, under noise."""
    logits = np.random.default_rng(seed).normal(0, 2, (height, width, classes)).astype(np.float32)
    logits[: height // 2, :, 1 % classes] += 6
    logits[height // 2 :, : width // 2, 2 % classes] += 6
    return logits


@pytest.mark.parametrize("classes", [1, 2, 21, 300])
@pytest.mark.parametrize(
    ("cells", "size", "spacing", "centre", "reach"),
    [
        ((1, 1), (1, 1), 32, 16, 2),
        ((1, 3), (20, 90), 32, 16, 2),
        ((7, 9), (220, 270), 32, 16, 2),
        ((5, 6), (129, 150), 32, 0.5, 3),
        ((12, 8), (90, 61), 8, 16, 8),
        ((3, 4), (100, 171), 0, 0, 2),
        ((4, 5), (9, 13), 0, 0, 1),
    ],
)
def test_every_pixel_gets_the_class_that_the_filter_says(
    cells, size, spacing, centre, reach, classes
) -> None:
    logits, image = scores(*cells, classes), picture(*size)
    labels, _, places = head(spacing, centre, reach)(logits, image)
    rounding = 1e-5 * float(np.abs(logits).max())
    exact = filtered(logits, image, places, reach, rounding)
    behind = [exact(row).behind(labels[row]) for row in range(size[0])]
    assert np.max(behind) <= guided.rounding(logits, rounding)
    # Where all is within rounding, nothing was compared.
    assert classes < 3 or size == (1, 1) or len(np.unique(labels)) > 1


def filtered(
    logits: np.ndarray, image: np.ndarray, places: Any, reach: int, margin: float = 0
) -> guided.Filter:
    return guided.Filter(logits, image, tuple(np.float64(axis) for axis in places), reach, margin)


def test_probabilities_of_the_filter_sum_to_one() -> None:
    logits = scores(3, 3, 5)
    logits[np.arange(5) // 2, np.arange(5) % 2, np.arange(5)] += 20  # each is the best of a cell
    axes = ((np.arange(70) + 0.5 - 16) / 32, (np.arange(90) + 0.5 - 16) / 32)
    rows_of = filtered(logits, picture(70, 90), axes, 2)
    np.testing.assert_allclose([rows_of(row).sure.sum(-1) for row in range(70)], 1, rtol=0, atol=1e-9)


def test_a_class_competes_where_it_is_the_best_of_a_cell_in_reach() -> None:
    """Cells 32 pixels apart, a reach of 2: a patch takes the windows of the cells that it lies between."""
    logits = np.zeros((1, 12, 3), np.float32)
    logits[..., 2] = 1
    logits[0, 0] = [0, 1.5, 1]  # with the second class ahead, a little
    logits[..., 0] = 0.99  # the best nowhere
    logits[0, 5:, 1] = 0.999  # much, but the best of none of these cells
    places = ((np.arange(20) + 0.5 - 16) / 32, (np.arange(12 * 32) + 0.5 - 16) / 32)
    possible = filtered(logits, picture(20, 12 * 32), places, 2)(10).possible > NEVER
    assert [np.flatnonzero(each).tolist() for each in possible.T] == [
        [],
        list(range(16 + 3 * 32)),
        list(range(12 * 32)),
    ]


def second_everywhere() -> np.ndarray:
    """Two classes side by side, and a third that is second in every cell, and the best of the whole."""
    logits = np.ones((5, 5, 3), np.float32)
    logits[:, :3, 0], logits[:, 3:, 1] = 1.2, 1.2
    logits[..., 2] = 1.19
    return logits


def test_a_class_that_is_the_best_of_no_cell_gets_no_pixel() -> None:
    labels, bilinear, _ = head(32, 16, 2)(second_everywhere(), picture(160, 160))
    assert 2 in bilinear
    assert set(np.unique(labels)) == {0, 1}


def test_a_border_lies_where_the_colours_change() -> None:
    image = np.full((160, 160, 3), (200, 60, 60), np.uint8)
    image[:, 71:] = (60, 60, 200)
    logits = np.zeros((5, 5, 2), np.float32)
    logits[..., 0] = [4, 4, 0.5, -4, -4]  # the border between the bilinear scores lies near 84
    labels, bilinear, _ = head(32, 16, 2)(logits, image)
    assert (bilinear == 0).sum(axis=1).tolist() == [84] * 160
    # The guide is smoothed, so the change is as wide as that.
    assert np.abs((labels == 0).sum(axis=1) - 71).max() <= 3


def test_without_colours_the_probabilities_are_averaged_over_windows() -> None:
    logits = scores(6, 6, 4)
    labels, _, places = head(32, 16, 2)(logits, np.full((192, 192, 3), 90, np.uint8))
    rows_of = filtered(logits, np.zeros((192, 192, 3), np.uint8), places, 2)
    best, lead = zip(*(rows_of(row).best() for row in range(192)), strict=True)
    clear = np.stack(lead) > 1e-5
    np.testing.assert_array_equal(labels[clear], np.stack(best)[clear])


NETWORK = NETWORKS["vgg_16"]
PLAN = SimpleNamespace(
    network=NETWORK,
    options=GraphOptions(upsampling="guided").of(NETWORK),
    labels=SimpleNamespace(names=["one", "two", "three", "four", "five"]),
)


def verified(**changed: Any) -> None:
    """Let the verification of an export judge the label map of a filter that is `changed`."""
    logits, image = scores(7, 9, 5), picture(220, 270)
    with mock.patch.multiple(heads_guided, **changed):
        labels, _, _ = Head(32, 16, PLAN.options.guided_reach(NETWORK))(logits, image)
    check_label_map("segment", labels.astype(np.uint8), logits, image, PLAN)


def test_verification_passes_the_filter() -> None:
    verified(EPSILON=heads_guided.EPSILON)


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        (
            "_guide",
            lambda image: tf.transpose(
                tf.cast(image, tf.float32)[..., :1] / 255 * [1.0, 1.0, 1.0], [2, 0, 1]
            ),
        ),
        ("EPSILON", 100 * heads_guided.EPSILON),
        ("SMOOTHED", 1),
    ],
)
def test_verification_refuses_another_filter(name: str, changed: Any) -> None:
    with pytest.raises(ExportError, match="another label than their upsampled scores"):
        verified(**{name: changed})


def test_verification_refuses_a_class_that_does_not_compete() -> None:
    image = picture(160, 160)
    labels, _, _ = head(32, 16, 2)(second_everywhere(), image)
    labels = labels.astype(np.uint8)
    check_label_map("segment", labels, second_everywhere(), image, PLAN)
    labels[80, 80] = 2
    with pytest.raises(ExportError, match="gives 1 of 5120 pixels another label"):
        check_label_map("segment", labels, second_everywhere(), image, PLAN)


_WORST_CASE = """
import numpy as np, tensorflow as tf
from slimserve.export.graph.heads.guided import guided_label_map
from slimserve.export.graph.heads.label_map import stretched_places
from tests.support.memory import peak
with tf.Graph().as_default(), tf.compat.v1.Session() as session:
    logits = tf.compat.v1.placeholder(tf.float32, [None, None, 1000])
    image = tf.compat.v1.placeholder(tf.uint8, [None, None, 3])
    places = stretched_places(tf.shape(image)[:2], tf.shape(logits)[:2])
    label_map = guided_label_map(logits, image, places, 2)
    rng = np.random.default_rng(0)
    def run(cells):
        pixels = rng.integers(0, 256, (32 * cells, 32 * cells, 3), np.uint8)
        session.run(label_map, {image: pixels, logits: rng.normal(0, 1, (cells, cells, 1000)).astype(np.float32)})
    run(2)
    before = peak()
    run(16)
    print(peak() - before)
"""


@pytest.mark.soak
def test_memory_stays_bounded_where_every_class_may_win() -> None:
    # All scores at once are 1 GB here.
    result = subprocess.run(
        [sys.executable, "-c", _WORST_CASE], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert int(result.stdout) < 300e6
