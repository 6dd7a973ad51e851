"""GIF89a (sections 15 to 22 of its specification)."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from ....types import Tensor
from ..checks import Bounds, refuse_unless
from .encoded import Encoded, Judged, Walk, decode_guarded, unsigned

_SCREEN_END = 13  # the signature and the logical screen descriptor
# Bits of the first LZW codes: the least that GIF89a, appendix F, has, and what 256 colours need.
_SMALLEST_CODE, _LARGEST_CODE = 2, 8
# One pixel in two colours of its own, and the end of the file.
_LAST_FRAME = b"\x2c\0\0\0\0\1\0\1\0\x80" + bytes(6) + b"\x02\x02\x44\x01\0;"
_IMAGE, _EXTENSION, _GRAPHIC_CONTROL = 0x2C, 0x21, 0xF9


def judge(file: Encoded, bounds: Bounds) -> Judged:
    """Judge the first frame: its kind, its size, its screen's size; the data are that frame alone.

    A screen that the frame sticks out of is enlarged. Only that frame is handed on: the decoder would unpack every
    frame of the file before it drops them. Extensions are not: the decoder would paint transparent pixels black.
    """
    tables = _SCREEN_END + _colour_table_bytes(file.header[10])
    walk = Walk(file, "GIF")
    image, end, transparent = _first_image(walk, tables)
    descriptor = walk.read(image, 10)
    left, top, own_width, own_height = unsigned(descriptor, (1, 2), (3, 2), (5, 2), (7, 2))
    own_table = _colour_table_bytes(descriptor[9])
    data = image + 10 + own_table
    table = tf.where(own_table > 0, [image + 10, data], [_SCREEN_END, tables])
    code_size = walk.read(data, 1)[0]
    surroundings = tf.unstack(tf.cast(_colour(walk, table, transparent), tf.int64))
    file.refuse_unless(
        (code_size >= _SMALLEST_CODE) & (code_size <= _LARGEST_CODE),
        " is a GIF of LZW code size ", code_size, ", a kind that is not read (2 to 8 are): save it as a PNG",
    )  # fmt: skip
    file.refuse_unless(
        table[1] > table[0], " is a GIF without colours, a kind that is not read: save it as a PNG"
    )
    width, height = unsigned(file.header, (6, 2), (8, 2))
    width, height = tf.maximum(width, left + own_width), tf.maximum(height, top + own_height)
    file.require(lambda: bounds.check_size(own_height, own_width, file.what))
    file.require(lambda: bounds.check_size(height, width, file.what))
    # The decoder's canvas is as large as the frame, which must not lie beside it.
    parts = [file.part(0, tables), ",\0\0\0\0", file.part(image + 5, end), _LAST_FRAME]
    return Judged(tf.strings.join(parts), height, width, [top, left, *surroundings])


def decode(data: Tensor, height: Tensor, width: Tensor, numbers: Sequence[Tensor], what: Tensor) -> Tensor:
    """Decode the judged frame to uint8 [H, W, 3], where it lies on the logical screen."""
    top, left, *colour = numbers[:5]
    frames = decode_guarded(tf.io.decode_gif, data, what, "GIF")
    # Of a frame that is cut off the decoder returns what there is, but then it does not come to the next one.
    whole = refuse_unless(tf.shape(frames)[0] > 1, what, " is a truncated or damaged GIF: send it whole")
    with tf.control_dependencies([whole]):
        pixels = frames[0]
    size = tf.shape(pixels, tf.int64)
    # Padding is one number, and a colour is three: the padding is zero while that colour is.
    surroundings = tf.cast(tf.stack(colour), tf.uint8)
    relative = tf.bitwise.bitwise_xor(pixels, surroundings)
    padding = [[top, height - top - size[0]], [left, width - left - size[1]], [0, 0]]
    return tf.bitwise.bitwise_xor(tf.pad(relative, padding), surroundings)


def _colour_table_bytes(flags: Tensor) -> Tensor:
    flags = tf.cast(flags, tf.int64)
    size = 3 * tf.bitwise.left_shift(tf.constant(2, tf.int64), tf.bitwise.bitwise_and(flags, 7))
    return tf.where(flags >= 0x80, size, 0)


def _first_image(walk: Walk, start: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Walk the blocks from `start`: where the first image's descriptor and end are, and the transparent colour."""

    def step(
        position: Tensor, in_data: Tensor, image: Tensor, transparent: Tensor, steps: Tensor
    ) -> tuple[Tensor, ...]:
        position, steps = walk.begin_step(position, steps)
        after = tf.cond(
            in_data,
            lambda: (*_skip_data(walk, position), image, transparent),
            lambda: _enter_block(walk, position, image, transparent),
        )
        return *after, steps

    zero = tf.constant(0, tf.int64)
    end, _, image, transparent, _ = tf.while_loop(
        lambda _, in_data, image, *__: in_data | tf.equal(image, 0),
        step,
        (start, tf.constant(False), zero, tf.constant(0, tf.uint8), zero),
        parallel_iterations=1,
    )
    return image, end, transparent


def _skip_data(walk: Walk, position: Tensor) -> tuple[Tensor, Tensor]:
    """From a length byte to behind its data, and others of that length; whether there may be more."""
    head = walk.read(position, 1)
    length = tf.cast(head[0], tf.int64)
    more = length > 0
    return tf.where(more, walk.skip_alike(position, length + 1, head), position + 1), more


def _enter_block(walk: Walk, position: Tensor, image: Tensor, transparent: Tensor) -> tuple[Tensor, ...]:
    """From the beginning of a block to its data: an extension, which may tell the transparent colour, or an image."""
    kind = walk.read(position, 1)[0]
    is_image = tf.equal(kind, _IMAGE)
    known = refuse_unless(is_image | tf.equal(kind, _EXTENSION), walk.what, " is a GIF without an image")
    with tf.control_dependencies([known]):
        head = tf.unstack(walk.read(position, 10))  # no image follows an extension that is cut off before
    tells = ~is_image & tf.equal(head[1], _GRAPHIC_CONTROL) & tf.equal(head[3] % 2, 1)
    data = tf.where(is_image, position + 11 + _colour_table_bytes(head[9]), position + 2)
    image, transparent = tf.where(is_image, position, image), tf.where(tells, head[6], transparent)
    return data, tf.constant(True), image, transparent


def _colour(walk: Walk, table: Tensor, index: Tensor) -> Tensor:
    """A colour, uint8 [3], of the table that begins and ends at these positions; black where it is beyond."""
    place = table[0] + 3 * tf.cast(index, tf.int64)
    known = place < table[1]
    return tf.where(known, walk.read(tf.where(known, place, 0), 3), 0)
