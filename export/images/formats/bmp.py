"""BMP (Windows GDI: BITMAPFILEHEADER, BITMAPINFOHEADER and its successors)."""

from __future__ import annotations

import tensorflow as tf

from ...types import Tensor
from ..checks import check_size, refuse_unless
from .encoded import Encoded


def decode(file: Encoded, max_pixels: int) -> Tensor:
    """Decode to uint8 [H, W, 3]; uncompressed files of 8, 24 and 32 bits only."""
    pixels_at, header_size, width, raw_height, bits, compression = file.unsigned(
        (10, 4), (14, 4), (18, 4), (22, 4), (28, 2), (30, 4)
    )
    height = tf.where(raw_height < 2**31, raw_height, 2**32 - raw_height)  # negative: rows run top down
    known = refuse_unless(
        (header_size >= 40)
        & (header_size <= 124)
        & tf.reduce_any(tf.equal(bits, tf.constant([8, 24, 32], tf.int64)))
        & (tf.equal(compression, 0) | (tf.equal(compression, 3) & tf.equal(bits, 32))),
        file.what, " is a BMP of a kind that is not read (only uncompressed ones of 8, 24 or 32 bits are): send a PNG",
    )  # fmt: skip
    with tf.control_dependencies([known, check_size(height, width, max_pixels, file.what)]):
        end = pixels_at + (width * bits + 31) // 32 * 4 * height
    complete = refuse_unless(end <= file.length, file.what, " is a truncated BMP")
    with tf.control_dependencies([complete]):
        # The decoder takes nothing behind the pixels.
        pixels = tf.io.decode_bmp(file.part(0, end), channels=0)
        colours = 14 + header_size
    return tf.cond(
        tf.equal(bits, 8), lambda: _look_up_colours(pixels, file, colours), lambda: pixels[..., :3]
    )


def _look_up_colours(indices: Tensor, file: Encoded, start: Tensor) -> Tensor:
    """The decoder returns the indices of a palette image as if they were grays; its table begins at byte `start`."""
    table = tf.reshape(file.header[start : start + 1024], [256, 4])
    return tf.gather(table[:, 2::-1], tf.cast(indices[..., 0], tf.int32))
