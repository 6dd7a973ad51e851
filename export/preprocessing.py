"""Images made ready for the network: crops as slim's evaluation takes them, or whole and padded."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from export.interpolation import lerp
from export.networks.network import Network, Tensor


def prepare(image: Tensor, network: Network) -> Tensor:
    """Pixels of any [..., 3] as the network takes them: float32, the mean colour subtracted, scaled."""
    preprocessing = network.preprocessing
    net = tf.cast(image, tf.float32) - tf.constant(preprocessing.mean_rgb, tf.float32)
    return net if preprocessing.scale == 1.0 else net / preprocessing.scale


def pad_to_grid(image: Tensor, network: Network) -> Tensor:
    """Pad prepared [H, W, 3] with zeros, the mean colour, for the aligned geometry: see `Network.border`."""
    shape = tf.shape(image)
    before, behind = network.border
    sides = [[before, behind + -shape[axis] % network.multiple] for axis in (0, 1)]
    return tf.pad(image, [*sides, [0, 0]])


def central_crop(image: Tensor, network: Network) -> Tensor:
    """Crop the centre of uint8 [H, W, 3] as the network is evaluated: float32 [crop, crop, 3], prepared.

    The result is that of `preprocess_for_eval` in slim's vgg_preprocessing.py (aspect preserving bilinear resize by
    TensorFlow 1's default coordinates, sides rounded to the nearest, central crop rounded down) or its
    inception_preprocessing.py (central crop, its border rounded down, then such a resize), but only the crop's
    pixels are computed: resized for VGG, a 1x100000 image would have 6.5 thousand million.
    """
    preprocessing, side = network.preprocessing, network.crop
    size = tf.shape(image)[:2]
    if preprocessing.resize_side is None:
        bands = [_stretched(side, size[axis], preprocessing.central_fraction) for axis in (0, 1)]
    else:
        sides = tf.cast(size, tf.float32)
        resized = tf.math.rint(sides * (preprocessing.resize_side / tf.reduce_min(sides)))
        offset = (tf.cast(resized, tf.int32) - side) // 2
        bands = [
            _samples(offset[axis] + tf.range(side), sides[axis] / resized[axis], size[axis])
            for axis in (0, 1)
        ]
    return prepare(tf.ensure_shape(_interpolated(image, *bands), [side, side, 3]), network)


def _interpolated(image: Tensor, rows: _Samples, columns: _Samples) -> Tensor:
    width = tf.shape(image)[1]
    places = rows.ends[:, None, :, None] * width + columns.ends[:, None, :]
    corners = tf.cast(tf.gather(tf.reshape(image, [-1, 3]), places), tf.float32)  # [2, 2, rows, columns, 3]
    top, bottom = tf.unstack(lerp(corners[:, 0], corners[:, 1], columns.share[:, None]), num=2)
    return lerp(top, bottom, rows.share[:, None, None])


class _Samples(NamedTuple):
    """Along one axis: for each output position its two input positions, and the share of the upper one.

    Attributes:
        ends: int32 [2, positions].
        share: float32 [positions].
    """

    ends: Tensor
    share: Tensor


def _samples(positions: Tensor, scale: Tensor, size: Tensor) -> _Samples:
    """Pixels sampled at their upper left corners, TensorFlow 1's default; `scale` is input size / output size."""
    place = tf.cast(positions, tf.float32) * scale
    lower = tf.cast(place, tf.int32)
    return _Samples(tf.minimum(tf.stack([lower, lower + 1]), size - 1), place - tf.floor(place))


def _stretched(side: int, size: Tensor, fraction: float) -> _Samples:
    """`side` samples of the central `fraction` of one axis."""
    whole = tf.cast(size, tf.float64)
    start = tf.cast((whole - whole * fraction) / 2, tf.int32)
    kept = size - 2 * start
    samples = _samples(tf.range(side), tf.cast(kept, tf.float32) / side, kept)
    return _Samples(samples.ends + start, samples.share)
