"""Bilinear interpolation along one axis: coordinates and order of operations of TensorFlow's ResizeBilinear kernel."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from export.networks.network import Tensor


class Interpolation(NamedTuple):
    """For each output position, its two input positions (int32) and the share of the upper one (float32)."""

    lower: Tensor
    upper: Tensor
    share: Tensor


def interpolation(
    positions: Tensor, scale: Tensor, size: Tensor, *, half_pixel_centers: bool
) -> Interpolation:
    """Where each output position falls between the input positions 0 to `size` - 1.

    Args:
        positions: output positions, int32 [n].
        scale: input size / output size, float32 scalar.
        size: input size, int32 scalar.
        half_pixel_centers: whether pixels are sampled at their centres (`tf.image.resize`) or, as TensorFlow 1
            did by default, at their upper left corners.
    """
    place = tf.cast(positions, tf.float32)
    place = (place + 0.5) * scale - 0.5 if half_pixel_centers else place * scale
    floor = tf.floor(place)
    lower = tf.maximum(tf.cast(floor, tf.int32), 0)
    upper = tf.minimum(tf.cast(tf.math.ceil(place), tf.int32), size - 1)
    return Interpolation(tf.minimum(lower, size - 1), upper, place - floor)


def lerp(lower: Tensor, upper: Tensor, share: Tensor) -> Tensor:
    """`lower` + (`upper` - `lower`) * `share`, as the kernel computes it."""
    return lower + (upper - lower) * share
