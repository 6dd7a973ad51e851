"""Decode JPEG, PNG, GIF, BMP and WebP in the graph, measured before a pixel is allocated.

The kernels behind TensorFlow's decoders do whatever a file asks for. What a file may ask for is bounded here, in
`export.images.formats`: its pixels, and the parts it is made of. In a `tf.Graph` the operator == compares objects:
`tf.equal` compares values.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from ..types import Tensor
from .checks import refuse_unless
from .formats import bmp, gif, jpeg, png, webp
from .formats.encoded import Encoded


class ImageDecoder:
    """Decodes images to uint8 [H, W, 3] RGB.

    Alpha is dropped, 16 bits become 8, of an animation the first frame is taken.

    Args:
        max_pixels: an image with more is refused before it is decoded.
    """

    def __init__(self, max_pixels: int) -> None:
        # Its hundreds of nodes take a second to build; every use imports a copy, which takes a tenth of that.
        with tf.Graph().as_default() as graph:
            encoded = tf.compat.v1.placeholder(tf.string, [], name="encoded")
            what = tf.compat.v1.placeholder(tf.string, [], name="what")
            tf.identity(_decoded(encoded, max_pixels, what), name="image")
        self._definition = graph.as_graph_def()

    def decode(self, encoded: Tensor, what: Tensor | str) -> Tensor:
        """Decode one image in the current graph.

        Args:
            encoded: scalar string, the file's bytes.
            what: names the image in error messages, such as "image 3".
        """
        # An import takes tensors of the current graph only; in the body of a loop or a branch those are copies.
        inputs = {"encoded": tf.identity(encoded), "what": tf.identity(what)}
        image: Tensor
        (image,) = tf.import_graph_def(self._definition, inputs, ["image:0"], name="decode")
        image.set_shape([None, None, 3])
        return image


def _decoded(encoded: Tensor, max_pixels: int, what: Tensor) -> Tensor:
    file = Encoded(encoded, what)
    formats: list[tuple[Tensor, Callable[[], Tensor]]] = [
        (file.has(0, b"\xff\xd8\xff"), lambda: jpeg.decode(file, max_pixels)),
        (file.has(0, b"\x89PNG\r\n\x1a\n"), lambda: png.decode(file, max_pixels)),
        (file.has(0, b"GIF8"), lambda: gif.decode(file, max_pixels)),
        (file.has(0, b"BM"), lambda: bmp.decode(file, max_pixels)),
        (file.has(0, b"RIFF") & file.has(8, b"WEBP"), lambda: webp.decode(file, max_pixels)),
    ]
    known = refuse_unless(
        tf.reduce_any(tf.stack([match for match, _ in formats])),
        what, " is not a JPEG, PNG, GIF, BMP or WebP (", tf.strings.length(encoded), " bytes)",
    )  # fmt: skip
    with tf.control_dependencies([known]):
        choice = tf.argmax(tf.stack([match for match, _ in formats]), output_type=tf.int32)
    return tf.switch_case(choice, [build for _, build in formats])
