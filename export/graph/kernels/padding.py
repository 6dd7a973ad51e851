"""Padding in nodes of its own, so that the next layer is "VALID"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import tensorflow as tf

from ...networks.layers import Convolution
from ...types import Tensor
from ..images.preprocessing import Sides

Pad = Callable[[Tensor, Sides], Tensor]


def pad_with_zeros(net: Tensor, sides: Sides) -> Tensor:
    """Pad [N, H, W, C]."""
    return tf.pad(net, [[0, 0], *sides, [0, 0]])


def with_fixed_padding(
    net: Tensor, convolution: Convolution, pad: Pad = pad_with_zeros
) -> tuple[Tensor, Convolution]:
    """Return both as they are, or where the padding is "FIXED" [N, H, W, C] padded by `pad` and "VALID"."""
    if convolution.padding != "FIXED":
        return net, convolution
    total = [(side - 1) * convolution.rate for side in convolution.sides]
    net = pad(net, [[side // 2, side - side // 2] for side in total])
    return net, replace(convolution, padding="VALID")


def with_same_padding(
    net: Tensor, convolution: Convolution, pad: Pad = pad_with_zeros
) -> tuple[Tensor, Convolution]:
    """Return [N, H, W, C] padded as "SAME" pads it (https://www.tensorflow.org/api_docs/python/tf/nn), and "VALID"."""
    if convolution.stride == 1:
        return with_fixed_padding(net, replace(convolution, padding="FIXED"), pad)
    sides = []
    for axis, side in enumerate(convolution.sides, 1):
        size = tf.shape(net)[axis]
        positions = -(-size // convolution.stride)
        total = (positions - 1) * convolution.stride + (side - 1) * convolution.rate + 1 - size
        total = tf.maximum(total, 0)
        sides.append([total // 2, total - total // 2])
    return pad(net, sides), replace(convolution, padding="VALID")
