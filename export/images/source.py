"""Where the graph's images come from: pixels, encoded files or tf.Examples, whichever a request feeds.

The three inputs are placeholders with empty defaults (a signature feeds one of them), so that one instance of
the network serves them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import tensorflow as tf

from ..types import Tensor
from .checks import Bounds, refuse_unless
from .decoding import JUDGED_SPECS, JudgedFile, image_decoder


class ImageSource:
    """The images of a request, one at a time.

    Attributes:
        images: placeholder, uint8 [N, H, W, 3].
        image_bytes: placeholder, string [N], encoded images.
        examples: placeholder, string [N], serialized tf.Example with `image/encoded`.
        count: number of images, int32 scalar; reading it refuses a request that is malformed or asks for too much,
            before anything is decoded.
        sizes: of the images, int32 [N, 2], height and width.
    """

    def __init__(self, bounds: Bounds) -> None:
        """Build the inputs in the current graph; what is beyond the bounds is refused."""
        self._bounds = bounds
        self._decoder = image_decoder(bounds)
        self.images = tf.compat.v1.placeholder_with_default(
            tf.zeros([0, 1, 1, 3], tf.uint8), shape=None, name="images"
        )
        self.image_bytes = tf.compat.v1.placeholder_with_default(
            tf.constant([], tf.string), shape=None, name="image_bytes"
        )
        self.examples = tf.compat.v1.placeholder_with_default(
            tf.constant([], tf.string), shape=None, name="examples"
        )
        self._pixels = self._checked_images()
        encoded = self._checked_strings(self.image_bytes, "image_bytes")
        examples = self._checked_strings(self.examples, "inputs")
        features = {"image/encoded": tf.io.FixedLenFeature([], tf.string)}
        encoded = tf.concat([encoded, tf.io.parse_example(examples, features)["image/encoded"]], axis=0)
        self._is_encoded = tf.size(encoded) > 0
        count = tf.size(encoded) + tf.shape(self._pixels)[0]
        with tf.control_dependencies([bounds.check_count(count)]):
            self._files = self._judged(tf.identity(encoded))
            size = tf.shape(self._pixels)[1:3]
            sizes = tf.cond(
                self._is_encoded,
                lambda: tf.cast(self._files.size, tf.int32),
                lambda: tf.tile(size[None], [count, 1]),
            )
        with tf.control_dependencies([bounds.check_request(sizes)]):
            self.count = tf.identity(count)
            self.sizes = tf.ensure_shape(sizes, [None, 2])

    def _checked_images(self) -> Tensor:
        shape = tf.shape(self.images, out_type=tf.int64)
        text = tf.strings.reduce_join(tf.strings.as_string(shape), separator=", ")
        sides = tf.pad(shape, [[0, 4]])[:4]
        is_batch = tf.equal(tf.size(shape), 4) & tf.equal(sides[3], 3)
        batch = refuse_unless(
            is_batch, "images must be RGB pixels, uint8 [N, height, width, 3], not [", text, "]"
        )
        with tf.control_dependencies([batch]):
            size = self._bounds.check_size(sides[1], sides[2], "each image")
        with tf.control_dependencies([size]):
            images = tf.identity(self.images)
        images.set_shape([None, None, None, 3])
        return images

    def _checked_strings(self, strings: Tensor, name: str) -> Tensor:
        is_vector = tf.equal(tf.size(tf.shape(strings)), 1)
        vector = refuse_unless(is_vector, name, " must be a vector of strings, one for each image")
        with tf.control_dependencies([vector]):
            strings = tf.identity(strings)
        strings.set_shape([None])
        return strings

    def _judged(self, encoded: Tensor) -> JudgedFile:
        """All files, each tensor with the number of files before its other dimensions."""
        arrays = _collect(
            lambda index: self._decoder.judge(encoded[index], _name(index)),
            JUDGED_SPECS,
            tf.constant(0),
            tf.size(encoded),
        )
        return JudgedFile(*(array.stack() for array in arrays))

    def image(self, index: Tensor) -> Tensor:
        """The image at `index`, below `count`: uint8 [H, W, 3]."""
        image = tf.cond(
            self._is_encoded,
            lambda: self._decoder.decode_judged(
                JudgedFile(*(tensor[index] for tensor in self._files)), _name(index)
            ),
            lambda: self._pixels[index],
        )
        image.set_shape([None, None, 3])
        return image

    def map(
        self,
        function: Callable[[Tensor], tuple[Tensor, ...]],
        *results: tf.TensorSpec,
        start: Tensor | int = 0,
        stop: Tensor | None = None,
    ) -> list[tf.TensorArray]:
        """Collect what `function(index)` returns for each image, one after the other: memory is bounded by one image.

        `results` give the dtype and, as far as it is known, the shape of each tensor that `function` returns. With
        `start` and `stop` only the images from the one to before the other are taken.
        """
        return _collect(function, results, tf.convert_to_tensor(start), self.count if stop is None else stop)


def _name(index: Tensor) -> Tensor:
    return tf.strings.join(["image ", tf.strings.as_string(index)])


def _collect(
    function: Callable[[Tensor], Iterable[Tensor]],
    results: Iterable[tf.TensorSpec],
    start: Tensor,
    stop: Tensor,
) -> list[tf.TensorArray]:
    """See `ImageSource.map`."""

    def step(index: Tensor, arrays: list[tf.TensorArray]) -> tuple[Tensor, list[tf.TensorArray]]:
        pairs = zip(arrays, function(index), strict=True)
        return index + 1, [array.write(index - start, value) for array, value in pairs]

    arrays = [
        tf.TensorArray(result.dtype, stop - start, infer_shape=False, element_shape=result.shape)
        for result in results
    ]
    loop: tuple[Tensor, list[tf.TensorArray]] = tf.while_loop(
        lambda index, _: index < stop, step, (start, arrays), parallel_iterations=1
    )
    return loop[1]
