"""An encoded image in the graph: its header's numbers, and a walk over the records that the rest consists of."""

from __future__ import annotations

import tensorflow as tf

from ...types import Tensor
from ..checks import refuse_unless

# A BMP's headers and its largest colour table; the other formats need 33 bytes.
_HEADER = 14 + 124 + 1024
_RUN = 256  # records of one size that a step of a walk passes at once
_STEPS = 1000  # of a walk; files that were not made to hurt take a few, or a few dozen


class Encoded:
    """One encoded image.

    Attributes:
        bytes: scalar string.
        what: names the image in error messages, such as "image 3".
    """

    def __init__(self, encoded: Tensor, what: Tensor | str) -> None:
        self.bytes = encoded
        self.what = what
        # Filled up with zeros: a short file is then refused by what it says, not by a slice.
        filled = tf.strings.join([tf.strings.substr(encoded, 0, _HEADER), "\0" * _HEADER])
        self._header = tf.strings.substr(filled, 0, _HEADER)
        self.header = tf.io.decode_raw(self._header, tf.uint8)

    def has(self, offset: int, magic: bytes) -> Tensor:
        """Whether these bytes stand at the offset of the header."""
        return tf.equal(tf.strings.substr(self._header, offset, len(magic)), magic)

    def unsigned(self, *places: tuple[int, int], big_endian: bool = False) -> list[Tensor]:
        """Unsigned integers of the header as int64; each place is the first byte's offset and how many there are."""
        most = max(length for _, length in places)
        bytes_at = [[offset + min(i, length - 1) for i in range(most)] for offset, length in places]
        weights = [_weights(length, big_endian=big_endian) + [0] * (most - length) for _, length in places]
        values = tf.cast(tf.gather(self.header, bytes_at), tf.int64) * tf.constant(weights, tf.int64)
        numbers: list[Tensor] = tf.unstack(tf.reduce_sum(values, axis=1))
        return numbers

    def part(self, start: Tensor | int, end: Tensor) -> Tensor:
        """The bytes from `start` to `end`, int64, as a string."""
        start = tf.cast(start, tf.int64)
        return tf.strings.substr(self.bytes, start, end - start)

    @property
    def length(self) -> Tensor:
        """Bytes, int64."""
        return tf.cast(tf.strings.length(self.bytes), tf.int64)


def unsigned(data: Tensor, length: int, *, big_endian: bool = False) -> list[Tensor]:
    """Unsigned integers of `length` bytes each, uint8 [integers * length], as int64."""
    rows = tf.reshape(tf.cast(data, tf.int64), [data.shape[0] // length, length])
    weights = _weights(length, big_endian=big_endian)
    numbers: list[Tensor] = tf.unstack(tf.reduce_sum(rows * tf.constant(weights, tf.int64), axis=1))
    return numbers


def _weights(length: int, *, big_endian: bool) -> list[int]:
    weights = [256**i for i in range(length)]
    return weights[::-1] if big_endian else weights


class Walk:
    """Steps over the records of a file; what is cut off, or takes more than 1000 steps, is refused.

    A step of a loop in the graph costs some 50 microseconds. So that a large file takes few, records of one size
    and kind that follow each other are passed together.
    """

    def __init__(self, encoded: Tensor, what: Tensor | str, kind: str) -> None:
        """Walk over a file, in messages `what` is a `kind`."""
        self.data = tf.io.decode_raw(encoded, tf.uint8)
        self.size = tf.size(self.data, out_type=tf.int64)
        self.what = what
        self._truncated = tf.strings.join([what, f" is a truncated {kind}"])
        self._long = tf.strings.join([what, f" is a {kind} in more than {_STEPS} parts: save it again"])

    def read(self, position: Tensor, length: int) -> Tensor:
        """The `length` bytes at int64 `position`, which must be there."""
        with tf.control_dependencies([self._inside(position + length)]):
            return tf.slice(self.data, tf.reshape(position, [1]), [length])

    def skip_alike(self, position: Tensor, size: Tensor, head: Tensor) -> Tensor:
        """The position behind the records of `size` bytes, from `position` on, that begin with the bytes `head`.

        The first of them does, as `head` was read there.
        """
        fitting = (self.size - head.shape[0] - position) // size + 1
        starts = position + size * tf.range(tf.minimum(fitting, _RUN))
        heads = tf.gather(self.data, starts[:, None] + tf.range(head.shape[0], dtype=tf.int64))
        alike = tf.cast(tf.reduce_all(tf.equal(heads, head), axis=1), tf.int64)
        behind = position + size * tf.reduce_sum(tf.math.cumprod(alike))
        with tf.control_dependencies([self._inside(behind)]):
            return tf.identity(behind)

    def _inside(self, end: Tensor) -> tf.Operation:
        return refuse_unless(end <= self.size, self._truncated)

    def begin_step(self, position: Tensor, steps: Tensor) -> tuple[Tensor, Tensor]:
        """The position where a step begins, and the number of steps with it; both int64."""
        few = refuse_unless(steps < _STEPS, self._long)
        # The position depends on the check: a loop drops what nothing behind it needs.
        with tf.control_dependencies([few]):
            return tf.identity(position), steps + 1
