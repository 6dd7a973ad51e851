"""Padding that does not depend on the size of the image."""

from __future__ import annotations

from dataclasses import replace

import tensorflow as tf

from ..networks.layers import Convolution
from ..types import Tensor


def with_fixed_padding(net: Tensor, convolution: Convolution) -> tuple[Tensor, Convolution]:
    """Return both as they are, or where the padding is "FIXED" [N, H, W, C] padded with zeros and "VALID"."""
    if convolution.padding != "FIXED":
        return net, convolution
    total = [(side - 1) * convolution.rate for side in convolution.sides]
    net = tf.pad(net, [[0, 0], *([side // 2, side - side // 2] for side in total), [0, 0]])
    return net, replace(convolution, padding="VALID")
