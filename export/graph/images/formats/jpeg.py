"""JPEG (ITU-T T.81, annex B)."""

from __future__ import annotations

import tensorflow as tf

from ....types import Tensor
from ..checks import Bounds
from .encoded import Encoded, Judged, Walk, decode_guarded, unsigned

# Each scan of a progressive JPEG may pass over all of its pixels again, for a dozen bytes. Encoders write 10 or so.
_SCANS = 32
_START_OF_SCAN, _END, _ADOBE = 0xDA, 0xD9, 0xEE
_FRAME = 10  # bytes of a frame's header up to its number of components

# Of each process, the frames 0xC0 to 0xCF, what it is where the decoder does not read it. 0xC4, 0xC8 and 0xCC are no
# frames; the last is 0xF7, of another standard.
_PROCESSES = [
    *["", "", "", "lossless", "", *["hierarchical"] * 3],
    *["", "", "", "lossless", "", *["hierarchical"] * 3],
    "LS",
]
_LEAST_ADOBE = 14  # bytes of an APP14 segment that libjpeg obeys
# Says that four components are inverted, as Photoshop writes them: those who leave it out mean the same.
_INVERTED = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\0"


def judge(file: Encoded, bounds: Bounds) -> Judged:
    """Judge kind, size and number of scans; the data are the file."""
    place, adobe, scans = _walk(Walk(file, "JPEG"))
    file.refuse_unless(place > 0, " is a truncated JPEG: send it whole")
    padded = tf.strings.join([file.part(place, place + _FRAME), "\0" * _FRAME])
    frame = tf.ensure_shape(tf.io.decode_raw(tf.strings.substr(padded, 0, _FRAME), tf.uint8), [_FRAME])
    height, width = unsigned(frame, (5, 2), (7, 2), big_endian=True)
    precision, components = tf.unstack(tf.cast(tf.gather(frame, [4, 9]), tf.int64))
    process = tf.gather(_PROCESSES, tf.minimum(tf.cast(frame[1], tf.int32) - 0xC0, len(_PROCESSES) - 1))
    baseline = ": save it as a baseline JPEG"
    file.refuse_unless(tf.equal(process, ""), " is a ", process, " JPEG, a kind that is not read", baseline)
    file.refuse_unless(
        tf.equal(precision, 8),
        " is a ",
        precision,
        "-bit JPEG, a kind that is not read",
        baseline,
        " of 8 bits",
    )
    file.refuse_unless(
        tf.reduce_any(tf.equal(components, tf.constant([1, 3, 4], tf.int64))),
        " is a JPEG of ", components, " components, a kind that is not read", baseline,
    )  # fmt: skip
    file.require(lambda: bounds.check_size(height, width, file.what))
    file.refuse_unless(scans <= _SCANS, f" is a JPEG of more than {_SCANS} scans", baseline)
    names_colours = tf.equal(file.part(adobe + 4, adobe + 9), "Adobe")
    data = tf.cond(
        tf.equal(components, 4) & ~names_colours,
        lambda: tf.strings.join([b"\xff\xd8" + _INVERTED, file.part(2, file.length)]),
        lambda: file.bytes,
    )
    return Judged(data, height, width)


def decode(data: Tensor, what: Tensor) -> Tensor:
    """Decode the judged file to uint8 [H, W, 3]."""
    # The accurate transform is what Pillow and browsers use.
    return decode_guarded(
        lambda data: tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE"), data, what, "JPEG"
    )


def _walk(walk: Walk) -> tuple[Tensor, Tensor, Tensor]:
    """Pass the segments as the decoder meets them: none of thumbnails inside others, none behind the end.

    Returns int64 scalars: the positions of the frame's header and of an APP14 segment, 0 where there is none, and how
    many scans there are; some more than are allowed may not have been counted.
    """
    first, second = walk.data[:-1], walk.data[1:]
    is_marker = tf.equal(first, 0xFF) & ~_is_no_segment(second)
    markers = tf.concat([tf.where(is_marker)[:, 0], [walk.size]], axis=0)

    def step(
        position: Tensor, frame: Tensor, adobe: Tensor, scans: Tensor, _: Tensor, steps: Tensor
    ) -> tuple[Tensor, ...]:
        position, steps = walk.begin_step(position, steps)
        marker = markers[tf.searchsorted(markers, tf.minimum(position, walk.size)[None])[0]]
        at_end = marker + 4 > walk.size
        head = tf.cond(
            at_end, lambda: tf.constant([0xFF, _END, 0, 0], tf.uint8), lambda: walk.read(marker, 4)
        )
        code = head[1]
        is_frame, is_read = _is_frame(code)
        frame = tf.where(is_frame & tf.equal(frame, 0), marker, frame)
        (length,) = unsigned(head, (2, 2), big_endian=True)
        is_adobe = tf.equal(code, _ADOBE) & (length >= _LEAST_ADOBE)
        adobe = tf.where(is_adobe & tf.equal(adobe, 0), marker, adobe)
        scans += tf.cast(tf.equal(code, _START_OF_SCAN), tf.int64)
        done = tf.equal(code, _END) | (is_frame & ~is_read)
        return marker + 2 + length, frame, adobe, scans, done, steps

    zero = tf.constant(0, tf.int64)
    _, frame, adobe, scans, _, _ = tf.while_loop(
        lambda *state: ~state[4] & (state[3] <= _SCANS),
        step,
        (zero + 2, zero, zero, zero, tf.constant(False), zero),
        parallel_iterations=1,
    )
    return frame, adobe, scans


def _is_frame(code: Tensor) -> tuple[Tensor, Tensor]:
    """Whether a marker begins a frame, and whether it is of a process that is read."""
    is_table = tf.reduce_any(tf.equal(code, tf.constant([0xC4, 0xC8, 0xCC], tf.uint8)))
    is_frame = (code >= 0xC0) & (code <= 0xCF) & ~is_table | tf.equal(code, 0xF7)
    index = tf.minimum(tf.cast(code, tf.int32) - 0xC0, len(_PROCESSES) - 1)
    return is_frame, is_frame & tf.equal(tf.gather(_PROCESSES, tf.maximum(index, 0)), "")


def _is_no_segment(code: Tensor) -> Tensor:
    """What follows 0xFF without being the marker of a segment: a stuffed zero, a fill byte, TEM, a restart marker."""
    restart = (code >= 0xD0) & (code <= 0xD7)
    return restart | tf.equal(code, 0) | tf.equal(code, 1) | tf.equal(code, 0xFF)
