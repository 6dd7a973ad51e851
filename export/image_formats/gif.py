"""GIF89a (sections 15 to 22 of its specification)."""

from __future__ import annotations

import tensorflow as tf

from export.image_checks import check_size, refuse_unless
from export.image_formats.encoded import Encoded, Walk, unsigned
from export.networks.network import Tensor

_SCREEN_END = 13  # the signature and the logical screen descriptor
_IMAGE, _EXTENSION = 0x2C, 0x21


def decode(file: Encoded, max_pixels: int) -> Tensor:
    """Decode the first frame to uint8 [H, W, 3].

    Only that frame is handed on: the decoder would unpack every frame of the file before it drops them.
    """
    start = _SCREEN_END + _colour_table_bytes(file.header[10])
    frame, end = _first_frame(file, start)
    height, width = unsigned(frame[7:9], 2), unsigned(frame[5:7], 2)
    with tf.control_dependencies([check_size(height, width, max_pixels, file.what)]):
        alone = tf.strings.join([file.part(0, end), ";"])
    return tf.io.decode_gif(alone)[0]


def _colour_table_bytes(flags: Tensor) -> Tensor:
    flags = tf.cast(flags, tf.int64)
    size = 3 * tf.bitwise.left_shift(tf.constant(2, tf.int64), tf.bitwise.bitwise_and(flags, 7))
    return tf.where(flags >= 0x80, size, 0)


def _first_frame(file: Encoded, start: Tensor) -> tuple[Tensor, Tensor]:
    """Walk the blocks from `start` to the first image: its 10-byte descriptor, and the offset behind its data."""
    walk = Walk(file, "GIF")

    def skip_extension(position: Tensor, steps: Tensor) -> tuple[Tensor, Tensor]:
        position, steps = walk.begin_step(position, steps)
        return _skip_data_blocks(walk, position + 2, steps)

    position, steps = tf.while_loop(
        lambda position, _: tf.equal(walk.read(position, 1)[0], _EXTENSION),
        skip_extension,
        (start, tf.constant(0, tf.int64)),
        parallel_iterations=1,
    )
    found = refuse_unless(
        tf.equal(walk.read(position, 1)[0], _IMAGE), file.what, " is a GIF without an image"
    )
    with tf.control_dependencies([found]):
        frame = walk.read(position, 10)
    data = position + 10 + _colour_table_bytes(frame[9]) + 1
    return frame, _skip_data_blocks(walk, data, steps)[0]


def _skip_data_blocks(walk: Walk, position: Tensor, steps: Tensor) -> tuple[Tensor, Tensor]:
    """From a length byte to behind the terminator, a block of length zero."""

    def step(position: Tensor, _: Tensor, steps: Tensor) -> tuple[Tensor, ...]:
        position, steps = walk.begin_step(position, steps)
        head = walk.read(position, 1)
        length = tf.cast(head[0], tf.int64)
        more = length > 0
        behind = tf.cond(more, lambda: walk.skip_alike(position, length + 1, head), lambda: position + 1)
        return behind, more, steps

    end, _, steps = tf.while_loop(
        lambda _, more, __: more, step, (position, tf.constant(True), steps), parallel_iterations=1
    )
    return end, steps
