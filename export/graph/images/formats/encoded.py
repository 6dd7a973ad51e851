"""An encoded image in the graph: its header's numbers, and a walk over the records that the rest consists of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from ....types import Tensor
from ..checks import refuse_unless

# A BMP's headers and its largest colour table; the other formats need 33 bytes.
_HEADER = 14 + 124 + 1024
_RUN = 256  # records of one size that a step of a walk passes at once
_STEPS = 1000  # of a walk; files that were not made to hurt take a few, or a few dozen


class Encoded:
    """One encoded image, judged: what refuses it does so in the order of the calls, always in the same words.

    Attributes:
        bytes: scalar string.
        what: names the image in error messages, such as "image 3".
        header: its first bytes, uint8, filled up with zeros: a short file is refused by what it says, not by a slice.
    """

    def __init__(self, encoded: Tensor, what: Tensor | str) -> None:
        self.bytes = encoded
        self.what = what
        filled = tf.strings.join([tf.strings.substr(encoded, 0, _HEADER), "\0" * _HEADER])
        self._header = tf.strings.substr(filled, 0, _HEADER)
        self.header = tf.io.decode_raw(self._header, tf.uint8)
        self._refusals: list[tf.Operation] = []

    def require(self, refusal: Callable[[], tf.Operation]) -> None:
        """Add an op that may refuse the file, to run when those before it have passed."""
        with tf.control_dependencies(self._refusals):
            self._refusals = [refusal()]

    def refuse_unless(self, condition: Tensor, *words: Tensor | str) -> None:
        """Refuse the file in these words, behind its name, where `condition` is false."""
        self.require(lambda: refuse_unless(condition, self.what, *words))

    def judged(self, tensor: Tensor) -> Tensor:
        """The same tensor, once all that may refuse the file up to here has passed."""
        with tf.control_dependencies(self._refusals):
            return tf.identity(tensor)

    def has_each(self, places: Sequence[tuple[int, bytes]]) -> Tensor:
        """Whether the header has these bytes at these offsets: bool [places]."""
        offsets, magics = [offset for offset, _ in places], [magic for _, magic in places]
        found = tf.strings.substr(
            tf.fill([len(places)], self._header), offsets, [len(magic) for magic in magics]
        )
        return tf.equal(found, tf.constant(magics))

    def part(self, start: Tensor | int, end: Tensor | int) -> Tensor:
        """The bytes from `start` to `end`, int64, as a string; what lies beyond the file's end is left out."""
        start, end = (tf.minimum(tf.cast(place, tf.int64), self.length) for place in (start, end))
        return tf.strings.substr(self.bytes, start, end - start)

    @property
    def length(self) -> Tensor:
        """Bytes, int64."""
        return tf.cast(tf.strings.length(self.bytes), tf.int64)


class Judged(NamedTuple):
    """A file that may be decoded."""

    data: Tensor  # what the decoder is handed, scalar string: never more than its pixels need
    height: Tensor  # in pixels, int64 scalar, as is the width
    width: Tensor
    numbers: Sequence[Tensor] = ()  # what else the decoder has to know, int64 scalars


def decode_guarded(decoder: Callable[[Tensor], Tensor], data: Tensor, what: Tensor, kind: str) -> Tensor:
    """Apply a decoder, a function of the graph, that may fail; then the image is refused by its name.

    An op's own error knows no image. tf.data is what catches one in a graph: the decoder maps a dataset of one
    element, and the next best element, an image without pixels, stands for its error.

    Args:
        decoder: takes a scalar string, returns uint8 [..., height, width, 3].
        data: the string.
        what: names the image.
        kind: of the file, for the refusal.
    """
    decode = tf.function(
        decoder, input_signature=[tf.TensorSpec([], tf.string)], autograph=False
    ).get_concrete_function()
    rank = len(decode.output_shapes)
    element = {"output_types": [tf.uint8], "output_shapes": [[None] * rank]}
    files = tf.raw_ops.TensorDataset(components=[data], output_shapes=[[]])
    images = tf.raw_ops.MapDataset(
        input_dataset=files, other_arguments=[], f=decode, use_inter_op_parallelism=False, **element
    )
    images = tf.raw_ops.IgnoreErrorsDataset(input_dataset=images, log_warning=False, **element)
    nothing = tf.raw_ops.TensorDataset(
        components=[tf.zeros([0] * rank, tf.uint8)], output_shapes=[[0] * rank]
    )
    images = tf.raw_ops.ConcatenateDataset(input_dataset=images, another_dataset=nothing, **element)
    first = tf.raw_ops.TakeDataset(input_dataset=images, count=tf.constant(1, tf.int64), **element)
    image: Tensor = tf.raw_ops.DatasetToSingleElement(dataset=first, **element)[0]
    sound = refuse_unless(tf.size(image) > 0, what, f" is a truncated or damaged {kind}: send it whole")
    with tf.control_dependencies([sound]):
        return tf.identity(image)


def unsigned(data: Tensor, *places: tuple[int, int], big_endian: bool = False) -> list[Tensor]:
    """Unsigned integers in uint8 `data` as int64; each place is the first byte's offset and how many there are."""
    most = max(length for _, length in places)
    bytes_at = [[offset + min(i, length - 1) for i in range(most)] for offset, length in places]
    orders = [range(length)[:: -1 if big_endian else 1] for _, length in places]
    weights = [[256**i for i in order] + [0] * (most - len(order)) for order in orders]
    values = tf.cast(tf.gather(data, bytes_at), tf.int64) * tf.constant(weights, tf.int64)
    numbers: list[Tensor] = tf.unstack(tf.reduce_sum(values, axis=1))
    return numbers


class Walk:
    """Steps over the records of a file; what is cut off, or takes more than 1000 steps, is refused.

    A step of a loop in the graph costs some 50 microseconds. So that a large file takes few, records of one size
    and kind that follow each other are passed together.
    """

    def __init__(self, file: Encoded, kind: str) -> None:
        """Walk over a file, once what may refuse it up to here has passed; in messages it is a `kind`."""
        self.data = tf.io.decode_raw(file.judged(file.bytes), tf.uint8)
        self.size = tf.size(self.data, out_type=tf.int64)
        self.what = what = file.what
        self._truncated = tf.strings.join([what, f" is a truncated {kind}: send it whole"])
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
