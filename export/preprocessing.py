"""Images made ready for the network: crops as slim's VGG evaluation takes them, or whole and padded."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from export.interpolation import lerp
from export.networks.network import Network, Tensor


def subtract_mean(image: Tensor, network: Network) -> Tensor:
    """Float32 pixels minus the network's mean colour, any [..., 3]."""
    return tf.cast(image, tf.float32) - tf.constant(network.mean_rgb, tf.float32)


def pad_to_stride(image: Tensor, stride: int) -> Tensor:
    """Pad [H, W, 3] at the bottom and right with zeros (the mean colour, once subtracted) to a multiple of `stride`."""
    shape = tf.shape(image)
    return tf.pad(image, [[0, -shape[0] % stride], [0, -shape[1] % stride], [0, 0]])


def central_crop(image: Tensor, network: Network) -> Tensor:
    """Resize the shorter side of uint8 [H, W, 3] and crop the centre: float32 [crop, crop, 3], mean subtracted.

    The result is that of `preprocess_for_eval` in slim's vgg_preprocessing.py (aspect preserving bilinear resize by
    TensorFlow 1's default coordinates, sides rounded to the nearest, central crop rounded down), but only the crop's
    pixels are computed: resized, a 1x100000 image would have 6.5 thousand million.
    """
    size = tf.shape(image)[:2]
    sides = tf.cast(size, tf.float32)
    resized = tf.math.rint(sides * (network.resize_side / tf.reduce_min(sides)))
    offset = (tf.cast(resized, tf.int32) - network.crop) // 2
    rows, columns = (
        _samples(offset[axis] + tf.range(network.crop), sides[axis] / resized[axis], size[axis])
        for axis in (0, 1)
    )

    def corner(row: Tensor, column: Tensor) -> Tensor:
        return tf.cast(
            tf.gather_nd(image, tf.stack(tf.meshgrid(row, column, indexing="ij"), axis=-1)), tf.float32
        )

    across = columns.share[None, :, None]
    top = lerp(corner(rows.lower, columns.lower), corner(rows.lower, columns.upper), across)
    bottom = lerp(corner(rows.upper, columns.lower), corner(rows.upper, columns.upper), across)
    crop = lerp(top, bottom, rows.share[:, None, None])
    return subtract_mean(tf.ensure_shape(crop, [network.crop, network.crop, 3]), network)


class _Samples(NamedTuple):
    """For each output position its two input positions, int32, and the share of the upper one, float32."""

    lower: Tensor
    upper: Tensor
    share: Tensor


def _samples(positions: Tensor, scale: Tensor, size: Tensor) -> _Samples:
    """Pixels sampled at their upper left corners, TensorFlow 1's default; `scale` is input size / output size."""
    place = tf.cast(positions, tf.float32) * scale
    lower = tf.minimum(tf.cast(place, tf.int32), size - 1)
    return _Samples(lower, tf.minimum(lower + 1, size - 1), place - tf.floor(place))
