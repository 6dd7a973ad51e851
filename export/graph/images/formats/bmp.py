"""BMP: Windows' BITMAPINFOHEADER and its successors, OS/2's headers, all that is not compressed.

Sources: the headers' pages of the Windows GDI reference, and OS/2's "Bitmap file format". TensorFlow's own decoder
knows neither masks nor palettes.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from ....types import Tensor
from ..checks import Bounds, refuse_unless
from .encoded import Encoded, Judged, unsigned

_HEADER_AT, _MASKS_AT = 14, 54
_CORE = 12  # size of OS/2's first header, BITMAPCOREHEADER: sides of 16 bits, colours of 3 bytes
_OS2 = 64  # of its second, whose compressions are others
_BITFIELDS = 3
_TABLE = 1024  # bytes: the largest palette that pixels of 8 bits can use
_COMPRESSIONS = (
    "",
    "run-length encoded",
    "run-length encoded",
    "Huffman coded",
    "with a JPEG in it",
    "with a PNG in it",
)
_PLAIN_MASKS = {16: (0x7C00, 0x3E0, 0x1F), 32: (0xFF0000, 0xFF00, 0xFF)}


def judge(file: Encoded, bounds: Bounds) -> Judged:
    """Judge kind, size and length; the data are the palette, filled up to 1024 bytes, and the rows."""
    start, header, width, height, bits, compression, colours = unsigned(
        file.header, (10, 4), (14, 4), (18, 4), (22, 4), (28, 2), (30, 4), (46, 4)
    )
    core_width, core_height, core_bits, *masks = unsigned(
        file.header, (18, 2), (20, 2), (24, 2), *((_MASKS_AT + 4 * index, 4) for index in range(3))
    )
    is_core = tf.equal(header, _CORE)
    width, height, bits = (
        tf.where(is_core, *pair) for pair in ((core_width, width), (core_height, height), (core_bits, bits))
    )
    compression = tf.where(header >= 20, compression, 0)  # where a short header ends before it, it is zero
    colours = tf.where(header >= 36, colours, 0)
    is_upside_down = height < 2**31
    height = tf.where(is_upside_down, height, 2**32 - height)  # negative: rows run from the top down

    has_masks = (tf.equal(compression, _BITFIELDS) | tf.equal(compression, 6)) & (bits >= 16) & (header >= 40)
    has_masks &= tf.not_equal(header, _OS2)
    is_plain = tf.equal(compression, 0) | has_masks
    _refuse_kinds(file, header, bits, compression, is_plain, is_core)
    file.require(lambda: bounds.check_size(height, width, file.what))

    has_palette = bits <= 8
    most = tf.bitwise.left_shift(tf.constant(1, tf.int64), tf.where(has_palette, bits, 0))
    colours = tf.where(colours > 0, colours, most)
    entry = tf.where(is_core, tf.constant(3, tf.int64), 4)
    palette_at = _HEADER_AT + header
    # Behind the shortest header that knows of masks they follow; longer ones hold them.
    follow = tf.where(has_masks & tf.equal(header, 40), tf.where(tf.equal(compression, 6), 16, 12), 0)
    behind = palette_at + tf.where(has_palette, entry * colours, tf.cast(follow, tf.int64))
    # Some writers forget the palette there.
    start = tf.where(tf.equal(start, 0) | (has_palette & tf.equal(start, palette_at)), behind, start)
    file.refuse_unless(start >= palette_at, " is a damaged BMP: its pixels begin inside its header")
    stride = (width * bits + 31) // 32 * 4
    end = start + stride * (height - 1) + (width * bits + 7) // 8  # the last row need not be filled up
    file.refuse_unless(end <= file.length, " is a truncated BMP: send it whole")
    palette = tf.strings.substr(
        tf.strings.join([file.part(file.judged(palette_at), palette_at + _TABLE), "\0" * _TABLE]), 0, _TABLE
    )
    rows = file.part(file.judged(start), start + stride * height)
    plain = [
        tf.where(tf.equal(bits, 16), *pair) for pair in zip(_PLAIN_MASKS[16], _PLAIN_MASKS[32], strict=True)
    ]
    masks = [
        tf.where(has_masks, mask, tf.cast(usual, tf.int64)) for mask, usual in zip(masks, plain, strict=True)
    ]
    data = tf.strings.join([palette, rows, "\0\0\0"])
    numbers = [bits, tf.cast(is_upside_down, tf.int64), entry, tf.minimum(colours, most), *masks]
    return Judged(data, height, width, numbers)


def _refuse_kinds(
    file: Encoded, header: Tensor, bits: Tensor, compression: Tensor, is_plain: Tensor, is_core: Tensor
) -> None:
    names = [f" is a BMP of a kind that is not read ({name}): save it as a PNG" for name in _COMPRESSIONS]
    unknown = " is a BMP of a kind that is not read (compression "
    file.refuse_unless(
        is_core | ((header >= 16) & (header <= 124)),
        " is a BMP of a kind that is not read (its header has ", header, " bytes): save it as a PNG",
    )  # fmt: skip
    named = compression < len(_COMPRESSIONS)
    file.refuse_unless(is_plain | ~named, tf.gather(names, tf.where(named, compression, 0)))
    file.refuse_unless(is_plain, unknown, compression, "): save it as a PNG")
    file.refuse_unless(
        tf.reduce_any(tf.equal(bits, tf.constant([1, 2, 4, 8, 16, 24, 32], tf.int64))),
        " is a BMP of a kind that is not read (", bits, " bits a pixel): save it as a PNG",
    )  # fmt: skip


def decode(data: Tensor, height: Tensor, width: Tensor, numbers: Sequence[Tensor], what: Tensor) -> Tensor:
    """Decode the judged file to uint8 [H, W, 3]."""
    bits, is_upside_down, entry, colours, *masks = numbers
    stored = tf.io.decode_raw(data, tf.uint8)
    stride = (width * bits + 31) // 32 * 4
    rows = tf.reshape(stored[_TABLE : _TABLE + stride * height], [height, stride])

    def coloured() -> Tensor:
        indices = _indices(rows, width, bits)
        known = refuse_unless(
            tf.cast(tf.reduce_max(indices), tf.int64) < colours,
            what, " is a damaged BMP: a pixel has a colour beyond its palette of ", colours,
        )  # fmt: skip
        with tf.control_dependencies([known]):
            places = tf.range(256, dtype=tf.int64)[:, None] * entry + [2, 1, 0]
            return tf.gather(tf.gather(stored, places), tf.cast(indices, tf.int32))

    image = tf.cond(bits <= 8, coloured, lambda: _channels(rows, width, bits, masks))
    order = tf.range(height)
    return tf.gather(image, tf.where(is_upside_down > 0, height - 1 - order, order))


def _indices(rows: Tensor, width: Tensor, bits: Tensor) -> Tensor:
    """Numbers of `bits` each, the first in a byte's highest bits: uint8 [H, W]."""
    at = tf.range(width) * bits
    shift = tf.cast(8 - bits - at % 8, tf.uint8)
    mask = tf.cast(tf.bitwise.left_shift(tf.constant(1, tf.int64), bits) - 1, tf.uint8)
    return tf.bitwise.bitwise_and(tf.bitwise.right_shift(tf.gather(rows, at // 8, axis=1), shift), mask)


def _channels(rows: Tensor, width: Tensor, bits: Tensor, masks: Sequence[Tensor]) -> Tensor:
    """Each channel's bits of little-endian numbers, stretched to 0 to 255: uint8 [H, W, 3]."""
    length = bits // 8
    pixels = tf.reshape(rows[:, : width * length], [-1, width, length])
    values = tf.bitcast(tf.pad(pixels, [[0, 0], [0, 0], [0, 4 - length]])[..., :4], tf.uint32)
    channels = []
    for mask in masks:
        # A mask's lowest bit divides both numbers: no shift is needed, and of 16 bits or fewer all are exact.
        part = tf.cast(tf.bitwise.bitwise_and(values, tf.cast(mask, tf.uint32)), tf.float32)
        channels.append(tf.cast(part * 255 / tf.cast(tf.maximum(mask, 1), tf.float32), tf.uint8))
    return tf.stack(channels, axis=-1)
