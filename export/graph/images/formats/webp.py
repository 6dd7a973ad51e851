"""WebP (RFC 9649, section 2)."""

from __future__ import annotations

import tensorflow as tf

from ....types import Tensor
from ..checks import Bounds
from .encoded import Encoded, Judged, decode_guarded, unsigned

_FLAGS = 20  # offset of the flags in an extended file
_ALPHA, _ANIMATION = 0x10, 0x02


def judge(file: Encoded, bounds: Bounds) -> Judged:
    """Judge kind and size."""
    is_lossy, is_lossless, is_extended = tf.unstack(
        file.has_each([(12, b"VP8 "), (12, b"VP8L"), (12, b"VP8X")])
    )
    file.refuse_unless(
        is_lossy | is_lossless | is_extended, " is a damaged WebP: it does not begin with an image"
    )
    lossy_width, lossy_height, packed, extended_width, extended_height = unsigned(
        file.header, (26, 2), (28, 2), (21, 4), (24, 3), (27, 3)
    )
    lossy = (lossy_width & 0x3FFF, lossy_height & 0x3FFF)
    lossless = ((packed & 0x3FFF) + 1, (tf.bitwise.right_shift(packed, 14) & 0x3FFF) + 1)
    extended = (extended_width + 1, extended_height + 1)
    width, height = (
        tf.where(is_extended, of_extended, tf.where(is_lossless, of_lossless, of_lossy))
        for of_extended, of_lossless, of_lossy in zip(extended, lossless, lossy, strict=True)
    )
    file.require(lambda: bounds.check_size(height, width, file.what))
    data = tf.cond(is_extended, lambda: _with_alpha(file), lambda: file.bytes)
    return Judged(data, height, width)


def decode(data: Tensor, what: Tensor) -> Tensor:
    """Decode the judged file, of an animation the first frame, to uint8 [H, W, 3]."""

    def first_frame(data: Tensor) -> Tensor:
        image = tf.io.decode_image(data, channels=0, expand_animations=False)[..., :3]
        return tf.ensure_shape(image, [None, None, 3])

    return decode_guarded(first_frame, data, what, "WebP")


def _with_alpha(file: Encoded) -> Tensor:
    """The same file, but an animation says that it has alpha.

    TensorFlow's decoder writes four channels of an animation into room for three where it says that it has none.
    """
    flags = tf.cast(file.header[_FLAGS], tf.int32)
    is_animated = tf.bitwise.bitwise_and(flags, _ANIMATION) > 0
    flags = tf.where(is_animated, tf.bitwise.bitwise_or(flags, _ALPHA), flags)
    byte = tf.gather(tf.constant([bytes([value]) for value in range(256)]), flags)
    behind = tf.minimum(tf.constant(_FLAGS + 1, tf.int64), file.length)
    return tf.strings.join([tf.strings.substr(file.bytes, 0, _FLAGS), byte, file.part(behind, file.length)])
