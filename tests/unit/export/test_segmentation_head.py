"""The label map against the dense computation: every full-size score, then argmax."""

from __future__ import annotations

import functools
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from slimserve.export.graph.heads.label_map import (
    Places,
    aligned_places,
    bilinear_label_map,
    label_dtype,
    nearest_label_map,
    pooled,
    stretched_places,
)
from slimserve.export.verify.reference.expected import pooled as of_verification

from tests.conftest import ROOT


class Heads:
    """Our label map and the dense one of the same logits."""

    def __init__(self, classes: int) -> None:
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        with self._session.graph.as_default():
            self._logits = tf.compat.v1.placeholder(tf.float32, [None, None, classes])
            self._full_size = tf.compat.v1.placeholder(tf.int32, [2])
            self._size = tf.compat.v1.placeholder(tf.int32, [2])
            resized = tf.image.resize(self._logits[None], self._full_size)[0]
            dense = tf.argmax(resized, axis=-1)[: self._size[0], : self._size[1]]
            self._label_maps = bilinear_label_map(self._logits, self._places()), dense

    def _places(self) -> Places:
        whole = stretched_places(self._full_size, tf.shape(self._logits)[:2])
        return Places(whole.rows[: self._size[0]], whole.columns[: self._size[1]])

    def __call__(
        self, logits: np.ndarray, full_size: tuple[int, int], size: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray]:
        feed = {self._logits: logits, self._full_size: full_size, self._size: size}
        return self._session.run(self._label_maps, feed)


heads = functools.cache(Heads)


def natural(height: int, width: int, classes: int, seed: int = 0) -> np.ndarray:
    """Smooth score maps, a class ahead in each region, float32 [h, w, C]."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1, (height, width, classes)).astype(np.float32)
    logits[: height // 2, :, 1 % classes] += 6
    logits[height // 2 :, : width // 2, 2 % classes] += 6
    return logits


def tied(height: int, width: int, classes: int, seed: int = 0) -> np.ndarray:
    """Small integers: many exact ties."""
    return np.random.default_rng(seed).integers(0, 3, (height, width, classes)).astype(np.float32)


def undecided(height: int, width: int, classes: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, (height, width, classes)).astype(np.float32)


@pytest.mark.parametrize("scores", [natural, tied, undecided])
@pytest.mark.parametrize(
    ("cells", "full_size", "size"),
    [
        ((1, 1), (32, 32), (1, 1)),
        ((2, 3), (64, 96), (33, 70)),
        ((7, 9), (224, 288), (220, 270)),
        ((4, 9), (333, 517), (333, 517)),
        ((5, 4), (7, 11), (7, 11)),
        ((4, 4), (4, 4), (4, 4)),
    ],
)
@pytest.mark.parametrize("classes", [1, 2, 21, 300])
def test_label_map_is_the_dense_one_bit_for_bit(scores, cells, full_size, size, classes) -> None:
    ours, dense = heads(classes)(scores(*cells, classes), full_size, size)
    np.testing.assert_array_equal(ours, dense)


@pytest.mark.parametrize(
    ("classes", "dtype"), [(1, "uint8"), (256, "uint8"), (257, "uint16"), (1000, "uint16")]
)
def test_label_dtype_is_the_smallest_that_holds_the_classes(classes: int, dtype: str) -> None:
    assert label_dtype(classes).name == dtype


def test_nearest_label_map_is_that_of_a_nearest_resize() -> None:
    logits = undecided(3, 5, 7)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        ours = nearest_label_map(tf.constant(logits), stretched_places(tf.constant([100, 170]), (3, 5)))
        coarse = logits.argmax(-1)[None, ..., None]
        resized = tf.image.resize(coarse, [100, 170], method="nearest")[0, ..., 0]
        np.testing.assert_array_equal(*session.run((ours, resized)))


@pytest.mark.parametrize("cells", [1, 7, 64])
def test_aligned_places_are_those_of_a_resize_where_the_cells_tile_the_pixels(cells: int) -> None:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        size = tf.constant([cells * 32, 96])
        aligned, stretched = session.run((aligned_places(size, 32, 16), stretched_places(size, (cells, 3))))
    np.testing.assert_array_equal(aligned.rows, stretched.rows)
    np.testing.assert_array_equal(aligned.columns, stretched.columns)


@pytest.mark.parametrize("side", [1, 3, 7, 25])
@pytest.mark.parametrize("cells", [(1, 1), (2, 5), (13, 20)])
def test_a_pooling_window_averages_the_cells_that_there_are(cells: tuple[int, int], side: int) -> None:
    logits, reach = undecided(*cells, 5), side // 2
    expected = np.empty(logits.shape)
    for row, column in np.ndindex(cells):
        rows, columns = (slice(max(at - reach, 0), at + reach + 1) for at in (row, column))
        expected[row, column] = logits[rows, columns].mean(axis=(0, 1), dtype=np.float64)
    # Two float32 sums of at most `side` terms each.
    bound = 2 * (side + 1) * np.finfo(np.float32).eps * np.abs(logits).max()
    np.testing.assert_allclose(pooled(tf.constant(logits), side), expected, rtol=0, atol=bound)
    np.testing.assert_allclose(of_verification(logits, side), expected, rtol=0, atol=1e-13)


_WORST_CASE = """
import numpy as np, tensorflow as tf
from slimserve.export.graph.heads.label_map import bilinear_label_map, stretched_places
from tests.support.memory import peak
with tf.Graph().as_default(), tf.compat.v1.Session() as session:
    logits = tf.compat.v1.placeholder(tf.float32, [None, None, 1000])
    label_map = bilinear_label_map(logits, stretched_places(tf.constant([512, 512]), tf.shape(logits)[:2]))
    session.run(label_map, {logits: np.zeros((2, 2, 1000), np.float32)})
    before = peak()
    scores = np.random.default_rng(0).normal(0, 1, (16, 16, 1000)).astype(np.float32)
    session.run(label_map, {logits: scores})
    print(peak() - before)
"""


def test_memory_stays_bounded_where_every_class_may_win() -> None:
    # All scores at once are 1 GB here.
    result = subprocess.run(
        [sys.executable, "-c", _WORST_CASE], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert int(result.stdout) < 300e6
