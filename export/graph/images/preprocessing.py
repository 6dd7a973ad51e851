"""Images made ready for the network: crops as slim's evaluation takes them, or whole and padded."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from ...networks import Network
from ...types import Tensor


def prepare(image: Tensor, network: Network) -> Tensor:
    """Pixels of any [..., 3] as the network takes them: float32, the mean colour subtracted, scaled."""
    preprocessing = network.preprocessing
    net = tf.cast(image, tf.float32) - tf.constant(preprocessing.mean_rgb, tf.float32)
    return net if preprocessing.scale == 1.0 else net / preprocessing.scale


def pad_to_grid(image: Tensor, network: Network) -> Tensor:
    """Pad prepared [..., H, W, 3] with zeros, the mean colour, for the aligned geometry: see `Network.border`."""
    shape = tf.shape(image)
    before, behind = network.border
    sides = [[before, behind + network.padding(shape[axis])] for axis in (-3, -2)]
    padded = tf.pad(image, [*[[0, 0]] * (len(image.shape) - 3), *sides, [0, 0]])
    padded.set_shape([*image.shape[:-3], None, None, 3])
    return padded


def pad_border(images: Tensor, network: Network) -> Tensor:
    """What `pad_to_grid` makes of images [N, H, W, 3] whose sides need no padding beside the border."""
    return tf.pad(images, [[0, 0], network.border, network.border, [0, 0]]) if any(network.border) else images


def central_crop(images: Tensor, network: Network) -> Tensor:
    """Crop the centre of uint8 [..., H, W, 3] as the network is evaluated: float32 [..., crop, crop, 3], prepared.

    The result is that of `preprocess_for_eval` in slim's vgg_preprocessing.py (aspect preserving bilinear resize by
    TensorFlow 1's default coordinates, sides rounded to the nearest, central crop rounded down) or its
    inception_preprocessing.py (central crop, its border rounded down, then such a resize), but only the crop's
    pixels are computed: resized for VGG, a 1x100000 image would have 6.5 thousand million.
    """
    preprocessing, side = network.preprocessing, network.crop
    size = tf.shape(images)[-3:-1, None]
    if preprocessing.resize_side is None:
        samples = _stretched(side, size, preprocessing.central_fraction)
    else:
        sides = tf.cast(size, tf.float32)
        resized = tf.math.rint(sides * (preprocessing.resize_side / tf.reduce_min(sides)))
        offset = (tf.cast(resized, tf.int32) - side) // 2
        samples = _samples(offset + tf.range(side), sides / resized, size)
    crops = tf.ensure_shape(_interpolated(images, samples), [*images.shape[:-3], side, side, 3])
    return prepare(crops, network)


def lerp(lower: Tensor, upper: Tensor, share: Tensor) -> Tensor:
    """Go from `lower` to `upper` by `share`, 0 to 1; shapes broadcast.

    The order of operations, and so every bit, is that of TensorFlow's ResizeBilinear kernel.
    """
    return lower + (upper - lower) * share


class _Samples(NamedTuple):
    """For each row and column of the output two rows or columns of the input, and the share of the latter.

    Attributes:
        lower, upper: int32 [2, side], rows first.
        share: of the upper one, float32 [2, side].
    """

    lower: Tensor
    upper: Tensor
    share: Tensor


def _samples(positions: Tensor, scale: Tensor, size: Tensor) -> _Samples:
    """Pixels sampled at their upper left corners, TensorFlow 1's default.

    Positions [2, side] or [side]; size in pixels and scale, input size / output size, [2, 1].
    """
    place = tf.cast(positions, tf.float32) * scale
    lower = tf.minimum(tf.cast(place, tf.int32), size - 1)
    return _Samples(lower, tf.minimum(lower + 1, size - 1), place - tf.floor(place))


def _stretched(side: int, size: Tensor, fraction: float) -> _Samples:
    """`side` samples of the central `fraction` of each axis."""
    whole = tf.cast(size, tf.float64)
    start = tf.cast((whole - whole * fraction) / 2, tf.int32)
    kept = size - 2 * start
    samples = _samples(tf.range(side), tf.cast(kept, tf.float32) / side, kept)
    return _Samples(samples.lower + start, samples.upper + start, samples.share)


def _interpolated(images: Tensor, samples: _Samples) -> Tensor:
    ends = tf.stack([samples.lower, samples.upper])  # [end, axis, side]
    shape = tf.shape(images)
    places = ends[:, None, 0, :, None] * shape[-2] + ends[:, 1, None, :]
    pixels = tf.reshape(images, tf.concat([shape[:-3], [-1, 3]], 0))
    corners = tf.cast(tf.gather(pixels, places, axis=-2), tf.float32)  # [..., end, end, row, column, 3]
    across, down = samples.share[1, :, None], samples.share[0, :, None, None]
    left, right = tf.unstack(corners, num=2, axis=-4)
    top, bottom = tf.unstack(lerp(left, right, across), num=2, axis=-4)
    return lerp(top, bottom, down)
