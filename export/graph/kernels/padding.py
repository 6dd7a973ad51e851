"""Padding with zeros, where nodes are not to pad: the next layer is "VALID"."""

from __future__ import annotations

from dataclasses import replace

import tensorflow as tf

from ...networks.layers import Convolution
from ...types import Tensor


def with_fixed_padding(net: Tensor, convolution: Convolution) -> tuple[Tensor, Convolution]:
    """Return both as they are, or where the padding is "FIXED" [N, H, W, C] padded with zeros and "VALID"."""
    if convolution.padding != "FIXED":
        return net, convolution
    total = [(side - 1) * convolution.rate for side in convolution.sides]
    net = tf.pad(net, [[0, 0], *([side // 2, side - side // 2] for side in total), [0, 0]])
    return net, replace(convolution, padding="VALID")


def with_same_padding(net: Tensor, convolution: Convolution) -> tuple[Tensor, Convolution]:
    """Return [N, H, W, C] padded as "SAME" pads it (https://www.tensorflow.org/api_docs/python/tf/nn), and "VALID"."""
    if convolution.stride == 1:
        return with_fixed_padding(net, replace(convolution, padding="FIXED"))
    paddings = []
    for axis, side in enumerate(convolution.sides, 1):
        size = tf.shape(net)[axis]
        positions = -(-size // convolution.stride)
        total = (positions - 1) * convolution.stride + (side - 1) * convolution.rate + 1 - size
        total = tf.maximum(total, 0)
        paddings.append([total // 2, total - total // 2])
    net = tf.pad(net, [[0, 0], *paddings, [0, 0]])
    return net, replace(convolution, padding="VALID")
