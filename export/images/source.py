"""Where the graph's images come from: pixels, encoded files or tf.Examples, whichever a request feeds.

The three inputs are placeholders with empty defaults (a signature feeds one of them), so that one instance of
the network serves them all.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from ..types import Tensor
from .checks import check_size, refuse_unless
from .decoding import ImageDecoder


class ImageSource:
    """The images of a request, one at a time.

    Attributes:
        images: placeholder, uint8 [N, H, W, 3].
        image_bytes: placeholder, string [N], encoded images.
        examples: placeholder, string [N], serialized tf.Example with `image/encoded`.
        count: number of images, int32 scalar; reading it refuses an empty or malformed request.
    """

    def __init__(self, max_pixels: int) -> None:
        """Build the inputs in the current graph; an image of more than `max_pixels` is refused."""
        self._max_pixels = max_pixels
        self._decoder = ImageDecoder(max_pixels)
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
        self._encoded = tf.concat([encoded, tf.io.parse_example(examples, features)["image/encoded"]], axis=0)
        encoded_count, pixel_count = tf.size(self._encoded), tf.shape(self._pixels)[0]
        self._is_encoded = encoded_count > 0
        count = encoded_count + pixel_count
        with tf.control_dependencies(
            [refuse_unless(count > 0, "the batch is empty: send at least one image")]
        ):
            self.count = tf.identity(count)

    def _checked_images(self) -> Tensor:
        shape = tf.shape(self.images, out_type=tf.int64)
        text = tf.strings.reduce_join(tf.strings.as_string(shape), separator=", ")
        sides = tf.pad(shape, [[0, 4]])[:4]
        is_batch = tf.equal(tf.size(shape), 4) & tf.equal(sides[3], 3)
        batch = refuse_unless(
            is_batch, "images must be RGB pixels, uint8 [N, height, width, 3], not [", text, "]"
        )
        with tf.control_dependencies([batch]):
            height, width = tf.identity(sides[1]), tf.identity(sides[2])
        with tf.control_dependencies([check_size(height, width, self._max_pixels, "each image")]):
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

    def image(self, index: Tensor) -> Tensor:
        """The image at `index`, uint8 [H, W, 3]."""
        what = tf.strings.join(["image ", tf.strings.as_string(index)])
        image = tf.cond(
            self._is_encoded,
            lambda: self._decoder.decode(self._encoded[index], what),
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
        start, stop = tf.convert_to_tensor(start), self.count if stop is None else stop

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
