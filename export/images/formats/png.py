"""PNG (ISO/IEC 15948, sections 5 and 11)."""

from __future__ import annotations

import tensorflow as tf

from ...types import Tensor
from ..checks import check_size, refuse_unless
from .encoded import Encoded, Walk, unsigned

_HEADER_END = 33  # the signature and the chunk IHDR
_OUTSIDE = 12  # bytes of a chunk beside its data: length, type, checksum
_END = b"\0\0\0\0IEND\xaeB`\x82"


def decode(file: Encoded, max_pixels: int) -> Tensor:
    """Decode to uint8 [H, W, 3].

    Only header, palette and pixels are handed on. The decoder would unpack texts and profiles too, each to 8 MB and
    all of them at once; nothing that it reads there changes a pixel.
    """
    width, height = file.unsigned((16, 4), (20, 4), big_endian=True)
    begins = refuse_unless(file.has(8, b"\0\0\0\rIHDR"), file.what, " is a PNG without a header")
    with tf.control_dependencies([begins]):
        size = check_size(height, width, max_pixels, file.what)
    with tf.control_dependencies([size]):
        encoded = tf.identity(file.bytes)
    palette, pixels = _find_palette_and_pixels(file, Walk(encoded, file.what, "PNG"))
    header = tf.strings.substr(encoded, 0, _HEADER_END)
    return tf.io.decode_png(tf.strings.join([header, palette, pixels, tf.constant(_END)]), channels=3)


def _find_palette_and_pixels(file: Encoded, walk: Walk) -> tuple[Tensor, Tensor]:
    """The chunk PLTE, empty where there is none, and all chunks IDAT; scalar strings."""

    def step(
        position: Tensor, palette: Tensor, start: Tensor, _: Tensor, steps: Tensor
    ) -> tuple[Tensor, ...]:
        position, steps = walk.begin_step(position, steps)
        head = walk.read(position, 8)
        (length,) = unsigned(head[:4], 4, big_endian=True)
        size = length + _OUTSIDE
        kind = head[4:]
        is_pixels = _is(kind, b"IDAT")
        done = tf.where(start > 0, ~is_pixels, _is(kind, b"IEND"))
        palette = tf.where(_is(kind, b"PLTE"), tf.stack([position, position + size]), palette)
        start = tf.where(is_pixels & tf.equal(start, 0), position, start)
        behind = walk.skip_alike(position, size, head)
        return tf.where(done, position, behind), palette, start, done, steps

    zero = tf.constant(0, tf.int64)
    end, palette, start, _, _ = tf.while_loop(
        lambda *state: ~state[3],
        step,
        (zero + _HEADER_END, tf.stack([zero, zero]), zero, tf.constant(False), zero),
        parallel_iterations=1,
    )
    found = refuse_unless(start > 0, file.what, " is a PNG without pixels")
    with tf.control_dependencies([found]):
        pixels = file.part(start, end)
    return file.part(palette[0], palette[1]), pixels


def _is(kind: Tensor, name: bytes) -> Tensor:
    return tf.reduce_all(tf.equal(kind, tf.constant(list(name), tf.uint8)))
