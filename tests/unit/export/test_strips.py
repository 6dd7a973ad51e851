"""The first two blocks of VGG, each two convolutions and a pool, in strips of rows."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from slimserve.export.demo.constants import Constants
from slimserve.export.graph.kernels import strips
from slimserve.export.graph.kernels.portable import VariableLayers
from slimserve.export.graph.kernels.x86 import EmulatedLayers
from slimserve.export.networks.pages.vgg import pooled_blocks

RANDOM = np.random.default_rng(5)
COLUMNS = 12
# Whole numbers: their sums are exact in whatever order they are added.
TENSORS = {
    f"vgg_16/conv{block}/conv{block}_{i}/{name}": RANDOM.integers(-1, 2, shape).astype(np.float32)
    for block, i, inputs, outputs in ((1, 1, 3, 64), (1, 2, 64, 64), (2, 1, 64, 128), (2, 2, 128, 128))
    for name, shape in (("weights", (3, 3, inputs, outputs)), ("biases", (outputs,)))
}


def first_blocks(images: tf.Tensor, layers: VariableLayers) -> tf.Tensor:
    return pooled_blocks(images, layers, (2, 2, 0, 0, 0))[0][2]


@pytest.mark.parametrize("rows", [4, 5, 7, 8, 9, 11, 16, 17, 23, 24, 30])
@pytest.mark.parametrize("images", [1, 2])
@pytest.mark.parametrize(("kind", "stored"), [(VariableLayers, tf.float32), (EmulatedLayers, tf.bfloat16)])
def test_strips_give_what_one_piece_gives(
    kind: type[VariableLayers], stored: tf.DType, images: int, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strips, "_PIXELS_AT_ONCE", 2 * 4 * COLUMNS)
    pixels = RANDOM.integers(0, 4, (images, rows, COLUMNS, 3)).astype(np.float32)
    with tf.Graph().as_default() as graph, tf.compat.v1.Session(graph=graph) as session:
        layers = kind(Constants(TENSORS), "vgg_16", stored)
        net = tf.compat.v1.placeholder(tf.float32, [None, None, None, 3])
        both = [tf.cast(first_blocks(net, each), tf.float32) for each in (layers, layers.without_loops())]
        in_strips, whole = session.run(both, {net: pixels})
    assert whole.shape == (images, rows // 4, COLUMNS // 4, 128)
    np.testing.assert_array_equal(in_strips, whole)
    assert whole.any()
