"""A convolution with a large filter as a product of matrices, on the filter as the model stores it.

oneDNN's convolution wants its filter in blocks. Reordered on every call, a fully connected layer takes several times as
long; kept, the filter is in memory once for each signature, and its blocks suit the first size of image alone. A
product takes the filter as it is: nothing is kept, and no size makes another slower. Where oneDNN is faster on a
transposed matrix, the model stores that. Small filters, on many positions, stay convolutions: the patches would cost
more than they save.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import tensorflow as tf

from ...networks.layers import Convolution
from ...types import Array, Shape, Tensor
from ...weights.recipes import Recipe
from .padding import with_fixed_padding

LARGE = 2**22  # values of a filter: fc6 of VGG, AlexNet and OverFeat, but no 3x3 filter of VGG or a ResNet
LARGE_1X1 = 2**22  # bytes, of one that needs no patches: fc7, fc8, the widest layers of a ResNet
_PATCHES_AT_ONCE = 64 * 2**20  # bytes


def is_product(convolution: Convolution, filter_shape: Shape, *, in_8_bits: bool = False) -> bool:
    """Whether the convolution is built as a product; `filter_shape` is [h, w, inputs, channels]."""
    return convolution.stride == 1 and is_large(filter_shape, in_8_bits=in_8_bits)


def is_large(filter_shape: Shape, *, in_8_bits: bool = False) -> bool:
    """Whether a filter of this shape, [h, w, inputs, channels], is too large to be kept once for each signature.

    One of 1x1 is judged by its bytes in 8 bits or in float32; in 16 bits it is built as in float32.
    """
    values = math.prod(filter_shape)
    if tuple(filter_shape[:2]) == (1, 1):
        return values * (1 if in_8_bits else 4) >= LARGE_1X1
    return values >= LARGE


def transposed(weights: Recipe) -> Recipe:
    """The filter [h, w, inputs, channels] as the matrix [channels, h * w * inputs]."""
    *window, channels = weights.shape

    def matrix(values: Array) -> Array:
        rows = values.reshape(-1, channels)
        columns = np.empty(rows.shape[::-1], rows.dtype)
        for start in range(0, len(rows), 16):  # NumPy takes longer for the whole at once
            columns[:, start : start + 16] = rows[start : start + 16].T
        return columns

    return weights.then(matrix, (channels, math.prod(window)))


def as_product(
    net: Tensor,
    convolution: Convolution,
    channels: int,
    product: Callable[[Tensor], Tensor],
    *,
    in_strips: bool,
) -> Tensor:
    """What `product` makes of the patches under the filter, each position's in a row.

    Args:
        net: [N, H, W, inputs].
        convolution: with stride 1.
        channels: of the result.
        product: takes [positions, h * w * inputs], the order of a filter's values, and returns [positions, channels].
        in_strips: a few rows of positions at a time, so that the patches take 64 MB at most; else all in one piece,
            without a loop.

    Returns:
        [N, H', W', channels].
    """
    if convolution.sides == (1, 1):
        return _at_positions(net, channels, product)
    if convolution.padding == "SAME":
        convolution = replace(convolution, padding="FIXED")
    net, convolution = with_fixed_padding(net, convolution)
    if net.shape[1:3] == convolution.sides and convolution.rate == 1:
        return _at_positions(tf.reshape(net, [-1, 1, 1, math.prod(net.shape[1:])]), channels, product)

    def piece(net: Tensor) -> Tensor:
        return _at_positions(_patches(net, convolution), channels, product)

    return _by_strips(net, convolution, channels, piece) if in_strips else piece(net)


def _at_positions(net: Tensor, channels: int, product: Callable[[Tensor], Tensor]) -> Tensor:
    result = product(tf.reshape(net, [-1, net.shape[-1]]))
    return tf.reshape(result, tf.concat([tf.shape(net)[:3], [channels]], 0))


def _patches(net: Tensor, convolution: Convolution) -> Tensor:
    """[N, H', W', h * w * inputs]; by ops that every runtime has."""
    for axis, side in ((2, convolution.sides[1]), (1, convolution.sides[0])):
        positions = tf.shape(net)[axis] - (side - 1) * convolution.rate
        shifts = range(0, side * convolution.rate, convolution.rate)
        net = tf.concat([_slice(net, axis, shift, shift + positions) for shift in shifts], -1)
    return net


def _slice(net: Tensor, axis: int, start: int | Tensor, stop: Tensor) -> Tensor:
    return net[:, start:stop] if axis == 1 else net[:, :, start:stop]


def _by_strips(
    net: Tensor, convolution: Convolution, channels: int, piece: Callable[[Tensor], Tensor]
) -> Tensor:
    height, width = convolution.sides
    over_rows, over_columns = ((side - 1) * convolution.rate for side in (height, width))
    images, rows, columns = (tf.shape(net)[0], tf.shape(net)[1] - over_rows, tf.shape(net)[2] - over_columns)
    positions = _PATCHES_AT_ONCE // (height * width * net.shape[-1] * net.dtype.size)
    at_once = tf.maximum(positions // (images * columns), 1)

    def step(start: Tensor, done: Tensor) -> tuple[Tensor, Tensor]:
        stop = tf.minimum(start + at_once, rows)
        return stop, tf.concat([done, piece(_slice(net, 1, start, stop + over_rows))], 1)

    nothing = tf.zeros([images, 0, columns, channels], net.dtype)
    _, result = tf.while_loop(
        lambda start, _: start < rows,
        step,
        (tf.constant(0), nothing),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([net.shape[0], None, None, channels])),
        parallel_iterations=1,
    )
    return result
