"""Padding that TensorFlow's convolutions do not have."""

from __future__ import annotations

import tensorflow as tf

from ..networks.network import Kernel, Tensor, sides


def fixed_padding(net: Tensor, kernel: Kernel, rate: int) -> Tensor:
    """Put zeros around [N, H, W, C] for a convolution with "VALID" padding, so that it has "FIXED" padding.

    See `export.networks.network.Layers`.
    """
    total = [(side - 1) * rate for side in sides(kernel)]
    return tf.pad(net, [[0, 0], *([side // 2, side - side // 2] for side in total), [0, 0]])
