"""PNG (ISO/IEC 15948, sections 5 and 11)."""

from __future__ import annotations

import tensorflow as tf

from ....types import Tensor
from ..checks import Bounds
from .encoded import Encoded, Judged, Walk, decode_guarded, unsigned

_HEADER_END = 33  # the signature and the chunk IHDR
_OUTSIDE = 12  # bytes of a chunk beside its data: length, type, checksum
_END = b"\0\0\0\0IEND\xaeB`\x82"


def judge(file: Encoded, bounds: Bounds) -> Judged:
    """Judge kind and size; the data are header, palette and pixels.

    The decoder would unpack texts and profiles too, each to 8 MB and all of them at once; nothing that it reads there
    changes a pixel.
    """
    is_apple, begins = tf.unstack(file.has_each([(12, b"CgBI"), (8, b"\0\0\0\rIHDR")]))
    file.refuse_unless(
        ~is_apple,
        " is a PNG in the form for iOS (CgBI), which only iOS reads: take the file from before the app was "
        "built, or turn it back with `pngcrush -revert-iphone-optimizations`",
    )
    file.refuse_unless(begins, " is a PNG without a header")
    width, height = unsigned(file.header, (16, 4), (20, 4), big_endian=True)
    file.require(lambda: bounds.check_size(height, width, file.what))
    palette, pixels = _find_palette_and_pixels(file, Walk(file, "PNG"))
    header = file.part(0, _HEADER_END)
    return Judged(tf.strings.join([header, palette, pixels, tf.constant(_END)]), height, width)


def decode(data: Tensor, what: Tensor) -> Tensor:
    """Decode the judged file to uint8 [H, W, 3]."""
    return decode_guarded(lambda data: tf.io.decode_png(data, channels=3), data, what, "PNG")


def _find_palette_and_pixels(file: Encoded, walk: Walk) -> tuple[Tensor, Tensor]:
    """The chunk PLTE, empty where there is none, and all chunks IDAT; scalar strings."""

    def step(
        position: Tensor, palette: Tensor, start: Tensor, _: Tensor, steps: Tensor
    ) -> tuple[Tensor, ...]:
        position, steps = walk.begin_step(position, steps)
        head = walk.read(position, 8)
        (length,) = unsigned(head, (0, 4), big_endian=True)
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
    file.refuse_unless(start > 0, " is a PNG without pixels")
    return file.part(palette[0], palette[1]), file.part(file.judged(start), end)


def _is(kind: Tensor, name: bytes) -> Tensor:
    return tf.reduce_all(tf.equal(kind, tf.constant(list(name), tf.uint8)))
