"""Images made ready for the network: crops as slim's evaluation takes them, or whole and padded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from ...networks import Network
from ...types import Tensor

Sides = Sequence[Sequence[Any]]
"""How much comes before and behind, of rows and of columns: int, or int32 scalars."""


def prepare(image: Tensor, network: Network) -> Tensor:
    """Pixels of any [..., 3] as the network takes them: float32, the mean colour subtracted, scaled."""
    preprocessing = network.preprocessing
    net = tf.cast(image, tf.float32) - tf.constant(preprocessing.mean, tf.float32)
    return net if preprocessing.scale == 1.0 else net / preprocessing.scale


def to_pixels(values: Tensor) -> Tensor:
    """Round float32 to the nearest of uint8."""
    return tf.saturate_cast(tf.round(values), tf.uint8)


def pad_to_grid(images: Tensor, network: Network) -> Tensor:
    """Pad [N, H, W, 3] for the aligned geometry, see `Network.border`, by `pad_around`."""
    shape = tf.shape(images)
    before, behind = network.border
    sides = [[before, behind + network.padding(shape[axis])] for axis in (1, 2)]
    padded = pad_around(images, sides, network)
    padded.set_shape([images.shape[0], None, None, 3])
    return padded


def pad_around(images: Tensor, sides: Sides, network: Network) -> Tensor:
    """Pad [N, H, W, 3] with the mean colour: zeros around prepared images, the nearest pixel around uint8."""
    if images.dtype != tf.uint8:
        return tf.pad(images, [[0, 0], *sides, [0, 0]])
    colour = tf.constant(network.preprocessing.mean_colour, tf.uint8)
    for axis, ends in enumerate(sides, 1):
        shape = tf.shape(images)
        before, behind = (
            tf.broadcast_to(colour, tf.concat([shape[:axis], [end], shape[axis + 1 :]], 0)) for end in ends
        )
        images = tf.concat([before, images, behind], axis)
    return images


def pad_border(images: Tensor, network: Network) -> Tensor:
    """What `pad_to_grid` makes of images [N, H, W, 3] whose sides need no padding beside the border."""
    return pad_around(images, [network.border] * 2, network) if any(network.border) else images


def central_crop(images: Tensor, network: Network) -> Tensor:
    """Crop the centre of uint8 [N, H, W, 3] as the network is evaluated: pixels, float32 [N, crop, crop, 3].

    Prepared, the result is that of `preprocess_for_eval` in slim's vgg_preprocessing.py (aspect preserving bilinear
    resize by TensorFlow 1's default coordinates, sides rounded to the nearest, central crop rounded down) or its
    inception_preprocessing.py (central crop, its border rounded down, then such a resize).
    """
    preprocessing, side = network.preprocessing, network.crop
    if preprocessing.resize_side is None:
        centre = _centre(images, preprocessing.central_fraction)
        crops = tf.raw_ops.ResizeBilinear(images=centre, size=[side, side])
    else:
        crops = _resized_centre(images, side, preprocessing.resize_side)
    return tf.ensure_shape(crops, [images.shape[0], side, side, 3])


def _centre(images: Tensor, fraction: float) -> Tensor:
    """The central `fraction` of both sides of [N, H, W, 3]."""
    size = tf.shape(images)[1:3]
    whole = tf.cast(size, tf.float64)
    start = tf.cast((whole - whole * fraction) / 2, tf.int32)
    top, left = start[0], start[1]
    return images[:, top : size[0] - top, left : size[1] - left]


def _resized_centre(images: Tensor, side: int, shorter: int) -> Tensor:
    """The centre of [N, H, W, 3], resized so that the shorter side is `shorter`: float32 [N, side, side, 3].

    Only the crop's pixels are computed: resized, a 1x100000 image would have 6.5 thousand million.
    """
    size = tf.shape(images)[1:3, None]
    sides = tf.cast(size, tf.float32)
    resized = tf.math.rint(sides * (shorter / tf.reduce_min(sides)))
    offset = (tf.cast(resized, tf.int32) - side) // 2
    return _interpolated(images, _samples(offset + tf.range(side), sides / resized, size))


def lerp(lower: Tensor, upper: Tensor, share: Tensor) -> Tensor:
    """Go from `lower` to `upper` by `share`, 0 to 1; shapes broadcast.

    The order of operations, and so every bit, is that of TensorFlow's ResizeBilinear kernel.
    """
    return lower + (upper - lower) * share


class _Samples(NamedTuple):
    """For each row and column of the output two rows or columns of the input, and the share of the latter."""

    lower: Tensor  # int32 [2, side], rows first
    upper: Tensor
    share: Tensor  # of the upper one, float32 [2, side]


def _samples(positions: Tensor, scale: Tensor, size: Tensor) -> _Samples:
    """Pixels sampled at their upper left corners, TensorFlow 1's default.

    Positions [2, side]; size in pixels and scale, input size / output size, [2, 1].
    """
    place = tf.cast(positions, tf.float32) * scale
    lower = tf.minimum(tf.cast(place, tf.int32), size - 1)
    return _Samples(lower, tf.minimum(lower + 1, size - 1), place - tf.floor(place))


def _interpolated(images: Tensor, samples: _Samples) -> Tensor:
    ends = tf.stack([samples.lower, samples.upper])  # [end, axis, side]
    shape, side = tf.shape(images), samples.share.shape[1]
    places = ends[:, None, 0, :, None] * shape[2] + ends[:, 1, None, :]
    pixels = tf.reshape(images, [shape[0], -1, 3])
    corners = tf.gather(pixels, places, axis=1)  # [N, end, end, row, column, 3]
    # TensorFlow broadcasts shares along rows of numbers faster than along rows of pixels.
    rows = tf.cast(tf.reshape(corners, [-1, 2, 2, side, side * 3]), tf.float32)
    left, right = tf.unstack(rows, num=2, axis=2)
    top, bottom = tf.unstack(lerp(left, right, tf.repeat(samples.share[1], 3)), num=2, axis=1)
    return tf.reshape(lerp(top, bottom, samples.share[0, :, None]), [-1, side, side, 3])
