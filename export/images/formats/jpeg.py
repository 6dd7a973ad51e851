"""JPEG (ITU-T T.81, annex B)."""

from __future__ import annotations

import tensorflow as tf

from ...types import Tensor
from ..checks import check_size, refuse_unless
from .encoded import Encoded, Walk, unsigned

# Each scan of a progressive JPEG may pass over all of its pixels again, for a dozen bytes. Encoders write 10 or so.
_SCANS = 32
_START_OF_SCAN, _END = 0xDA, 0xD9


def decode(file: Encoded, max_pixels: int) -> Tensor:
    """Decode to uint8 [H, W, 3]."""
    shape = tf.cast(tf.image.extract_jpeg_shape(file.bytes, output_type=tf.int32), tf.int64)
    with tf.control_dependencies([check_size(shape[0], shape[1], max_pixels, file.what)]):
        encoded = tf.identity(file.bytes)
    with tf.control_dependencies([_check_scans(encoded, file.what)]):
        # The accurate transform is what Pillow and browsers use.
        return tf.io.decode_jpeg(tf.identity(encoded), channels=3, dct_method="INTEGER_ACCURATE")


def _check_scans(encoded: Tensor, what: Tensor | str) -> tf.Operation:
    """Count scans as the decoder meets them: not those of thumbnails inside segments or of images behind the end."""
    walk = Walk(encoded, what, "JPEG")
    first, second = walk.data[:-1], walk.data[1:]
    is_marker = tf.equal(first, 0xFF) & ~_is_no_segment(second)
    markers = tf.concat([tf.where(is_marker)[:, 0], [walk.size]], axis=0)

    def step(position: Tensor, scans: Tensor, _: Tensor, steps: Tensor) -> tuple[Tensor, ...]:
        position, steps = walk.begin_step(position, steps)
        marker = markers[tf.searchsorted(markers, tf.minimum(position, walk.size)[None])[0]]
        at_end = marker + 4 > walk.size
        head = tf.cond(
            at_end, lambda: tf.constant([0xFF, _END, 0, 0], tf.uint8), lambda: walk.read(marker, 4)
        )
        is_scan, done = tf.equal(head[1], _START_OF_SCAN), tf.equal(head[1], _END)
        (length,) = unsigned(head[2:], 2, big_endian=True)
        return marker + 2 + length, scans + tf.cast(is_scan, tf.int64), done, steps

    zero = tf.constant(0, tf.int64)
    _, scans, _, _ = tf.while_loop(
        lambda _, scans, done, __: ~done & (scans <= _SCANS),
        step,
        (zero + 2, zero, tf.constant(False), zero),
        parallel_iterations=1,
    )
    return refuse_unless(
        scans <= _SCANS, what, f" is a JPEG of more than {_SCANS} scans: save it as a baseline JPEG"
    )


def _is_no_segment(code: Tensor) -> Tensor:
    """What follows 0xFF without being the marker of a segment: a stuffed zero, a fill byte, TEM, a restart marker."""
    restart = (code >= 0xD0) & (code <= 0xD7)
    return restart | tf.equal(code, 0) | tf.equal(code, 1) | tf.equal(code, 0xFF)
