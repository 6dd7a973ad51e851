"""Decode JPEG, PNG, GIF, BMP and WebP in the graph, judged before a pixel is allocated.

The kernels behind TensorFlow's decoders do whatever a file asks for. What a file may ask for is bounded here, in
`export.graph.images.formats`: its pixels, and the parts it is made of. Every file is judged in one order: what it is,
which kind of that, its size, its parts; what cannot be read as it is meant is refused by its kind. In a `tf.Graph` the
operator == compares objects: `tf.equal` compares values.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from ...types import Tensor
from .checks import Bounds, refuse_unless
from .formats import bmp, gif, jpeg, png, webp
from .formats.encoded import Encoded, Judged
from .kinds import kind_of

_NUMBERS = 7  # that a BMP's decoder has to know, which has most
_INLINED = "_lower_using_switch_merge"  # control_flow_util_v2.py of TensorFlow


class JudgedFile(NamedTuple):
    """An encoded image that may be decoded: tensors, or arrays of them."""

    kind: Tensor  # int32, index of its format
    data: Tensor  # string, what its decoder is handed
    size: Tensor  # int64 [2], height and width in pixels
    numbers: Tensor  # int64 [7], what else the decoder has to know


JUDGED_SPECS = JudgedFile(
    tf.TensorSpec([], tf.int32),
    tf.TensorSpec([], tf.string),
    tf.TensorSpec([2], tf.int64),
    tf.TensorSpec([_NUMBERS], tf.int64),
)


class ImageDecoder:
    """Decodes images to uint8 [H, W, 3] RGB.

    Alpha is dropped, 16 bits become 8, of an animation the first frame is taken.

    Args:
        bounds: an image beyond them is refused before it is decoded.
    """

    def __init__(self, bounds: Bounds) -> None:
        self._judging = _Subgraph(
            lambda encoded, what: _judge(encoded, what, bounds),
            encoded=tf.TensorSpec([], tf.string),
            what=tf.TensorSpec([], tf.string),
        )
        self._decoding = _Subgraph(
            lambda what, **file: [_decode(JudgedFile(**file), what)],
            what=tf.TensorSpec([], tf.string),
            **JUDGED_SPECS._asdict(),
        )

    def judge(self, encoded: Tensor, what: Tensor | str) -> JudgedFile:
        """Refuse what cannot be decoded, or asks for too much; nothing is decoded yet.

        Args:
            encoded: scalar string, the file's bytes.
            what: names the image in error messages, such as "image 3".
        """
        return JudgedFile(*self._judging(encoded=encoded, what=what))

    def decode_judged(self, file: JudgedFile, what: Tensor | str) -> Tensor:
        """Decode one judged image; refuses one that turns out to be damaged."""
        (image,) = self._decoding(what=what, **file._asdict())
        image.set_shape([None, None, 3])
        return image

    def decode(self, encoded: Tensor, what: Tensor | str) -> Tensor:
        """Judge and decode one image in the current graph: see `judge`."""
        return self.decode_judged(self.judge(encoded, what), what)


@functools.lru_cache(maxsize=1)
def image_decoder(bounds: Bounds) -> ImageDecoder:
    """Return the decoder of these bounds, built once for all graphs of an export."""
    return ImageDecoder(bounds)


class _Subgraph:
    """Nodes that are built once and imported at every use: hundreds take a second to build, a tenth to import."""

    def __init__(self, build: Callable[..., Sequence[Tensor]], **inputs: tf.TensorSpec) -> None:
        with tf.Graph().as_default() as graph:
            placeholders = {
                name: tf.compat.v1.placeholder(spec.dtype, spec.shape, name=name)
                for name, spec in inputs.items()
            }
            results = [tf.identity(result, name="result") for result in build(**placeholders)]
        self._results = [result.name for result in results]
        self._definition = graph.as_graph_def()
        # Inlined, branches and loops are kernels of every signature. Called, they are made when they are first taken: a
        # signature that is sent pixels has none.
        nodes = [
            self._definition.node,
            *(function.node_def for function in self._definition.library.function),
        ]
        for node in itertools.chain.from_iterable(nodes):
            node.attr.pop(_INLINED, None)

    def __call__(self, **inputs: Tensor | str) -> list[Tensor]:
        # An import takes tensors of the current graph only; in the body of a loop or a branch those are copies.
        own = {name: tf.identity(value) for name, value in inputs.items()}
        results: list[Tensor] = tf.import_graph_def(self._definition, own, self._results, name="image")
        return results


def _judge(encoded: Tensor, what: Tensor, bounds: Bounds) -> JudgedFile:
    def branch(judge: Callable[[Encoded, Bounds], Judged]) -> Callable[[], tuple[Tensor, Tensor, Tensor]]:
        def build() -> tuple[Tensor, Tensor, Tensor]:
            file = Encoded(encoded, what)
            data, height, width, numbers = judge(file, bounds)
            numbers = tf.pad(tf.cast(numbers, tf.int64), [[0, _NUMBERS - len(numbers)]])
            return file.judged(data), file.judged(tf.stack([height, width])), file.judged(numbers)

        return build

    kind = kind_of(Encoded(encoded, what))
    # In the order of `kinds.DECODED`.
    judges = [jpeg.judge, png.judge, gif.judge, bmp.judge, webp.judge]
    return JudgedFile(kind, *tf.switch_case(kind, [branch(judge) for judge in judges]))


def _decode(file: JudgedFile, what: Tensor) -> Tensor:
    height, width = tf.unstack(file.size)
    numbers = tf.unstack(file.numbers)
    image = tf.switch_case(
        file.kind,
        [
            lambda: jpeg.decode(file.data, what),
            lambda: png.decode(file.data, what),
            lambda: gif.decode(file.data, height, width, numbers, what),
            lambda: bmp.decode(file.data, height, width, numbers, what),
            lambda: webp.decode(file.data, what),
        ],
    )
    as_judged = tf.reduce_all(tf.equal(tf.shape(image, tf.int64)[:2], file.size))
    same = refuse_unless(as_judged, what, " is damaged: it holds an image of another size than it says")
    with tf.control_dependencies([same]):
        return tf.identity(image)
