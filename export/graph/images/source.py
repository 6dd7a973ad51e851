"""Where the graph's images come from: pixels, encoded files or tf.Examples, whichever a request feeds.

The three inputs are placeholders with empty defaults (a signature feeds one of them), so that one instance of
the network serves them all.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import tensorflow as tf

from ...types import Tensor
from .checks import Bounds, refuse_unless
from .decoding import JUDGED_SPECS, JudgedFile, image_decoder

PIXELS_AT_ONCE = 2**19
"""Of the images that go through the network together: feature maps of some 0.3 GB, those of one image of 724x724.

Enough to fill a processor: a batch of ten crops takes no longer per image than a larger one.
"""


class ImageSource:
    """The images of a request.

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
        with _on_the_host():
            self._is_encoded = tf.size(self.image_bytes) + tf.size(self.examples) > 0
            sizes, *files = tf.cond(self._is_encoded, self._judged_files, self._checked_pixels)
            self.sizes = tf.ensure_shape(sizes, [None, 2])
            self.count = tf.shape(self.sizes)[0]
            self._files = JudgedFile(*files)
            with tf.control_dependencies([self.sizes]):
                self._pixels = tf.identity(self.images)
        self._pixels.set_shape([None, None, None, 3])

    def _checked_pixels(self) -> list[Tensor]:
        """Sizes [N, 2] of `images`, and no files.

        What is surely allowed costs one comparison; only of the rest the words of a refusal are put together.
        """
        shape = tf.shape(self.images, out_type=tf.int64)
        allowed = self._bounds.surely_allow(shape)
        shape = tf.cond(allowed, lambda: tf.identity(shape), lambda: self._refused_unless_allowed(shape))
        size = tf.cast(shape[1:3], tf.int32)
        sizes = tf.tile(size[None], [tf.cast(shape[0], tf.int32), 1])
        return [sizes, *(tf.constant([], spec.dtype, [0, *spec.shape]) for spec in JUDGED_SPECS)]

    def _refused_unless_allowed(self, shape: Tensor) -> Tensor:
        text = tf.strings.reduce_join(tf.strings.as_string(shape), separator=", ")
        sides = tf.pad(shape, [[0, 4]])[:4]
        is_batch = tf.equal(tf.size(shape), 4) & tf.equal(sides[3], 3)
        batch = refuse_unless(
            is_batch, "images must be RGB pixels, uint8 [N, height, width, 3], not [", text, "]"
        )
        with tf.control_dependencies([batch]):
            size = self._bounds.check_size(sides[1], sides[2], "each image")
        with tf.control_dependencies([size]):
            count = self._bounds.check_count(tf.cast(sides[0], tf.int32))
        with tf.control_dependencies([count]):
            sizes = tf.tile(tf.cast(sides[None, 1:3], tf.int32), [tf.cast(sides[0], tf.int32), 1])
        with tf.control_dependencies([self._bounds.check_request(sizes)]):
            return tf.identity(shape)

    def _judged_files(self) -> list[Tensor]:
        """Sizes [N, 2] of the encoded images, and the files: each tensor with their number before its dimensions."""
        encoded = _checked_vector(self.image_bytes, "image_bytes")
        examples = _checked_vector(self.examples, "inputs")
        features = {"image/encoded": tf.io.FixedLenFeature([], tf.string)}
        encoded = tf.concat([encoded, tf.io.parse_example(examples, features)["image/encoded"]], axis=0)
        with tf.control_dependencies([self._bounds.check_count(tf.size(encoded))]):
            encoded = tf.identity(encoded)
        files = tf.map_fn(
            # Autograph would write what it makes of the function into the temporary folder.
            tf.autograph.experimental.do_not_convert(
                lambda index: self._decoder.judge(encoded[index], _name(index))
            ),
            tf.range(tf.size(encoded)),
            fn_output_signature=JUDGED_SPECS,
            parallel_iterations=1,
        )
        sizes = tf.cast(files.size, tf.int32)
        with tf.control_dependencies([self._bounds.check_request(sizes)]):
            return [tf.identity(sizes), *files]

    def image(self, index: Tensor) -> Tensor:
        """The encoded image at `index`, below `count`: uint8 [H, W, 3]."""
        with _on_the_host():
            file = JudgedFile(*(tensor[index] for tensor in self._files))
            return self._decoder.decode_judged(file, _name(index))

    def end_of_batch(self, start: Tensor) -> Tensor:
        """The end of the images from `start` on that go through the network together.

        They have one size and at most `PIXELS_AT_ONCE`, or it is one image; sides count as multiples of 32.
        """
        with _on_the_host():
            sizes = self.sizes[start:]
            alike = tf.reduce_all(tf.equal(sizes, sizes[0]), axis=1)
            run = tf.reduce_sum(tf.math.cumprod(tf.cast(alike, tf.int32)))
            pixels = tf.reduce_prod((sizes[0] + 31) // 32 * 32)
            return start + tf.minimum(run, tf.maximum(PIXELS_AT_ONCE // pixels, 1))

    def batch(
        self,
        start: Tensor,
        stop: Tensor,
        result: tf.TensorSpec,
        function: Callable[[Tensor], Tensor] = lambda images: images,
    ) -> Tensor:
        """What `function` makes of the images from `start` to before `stop`, [n, ...].

        Args:
            start: of the first one.
            stop: behind the last one.
            result: dtype and shape of what `function` makes of one image.
            function: takes uint8 [n, H, W, 3]; the pixels of a request at once, decoded files one by one.
        """

        def of_files() -> Tensor:
            return self.map(lambda index: function(self.image(index)[None])[0], result, start, stop).stack()

        def of_pixels() -> Tensor:
            with _on_the_host():
                pixels = self._pixels[start:stop]
            return function(pixels)

        batch = tf.cond(self._is_encoded, of_files, of_pixels)
        return tf.ensure_shape(batch, [None, *result.shape])

    def map_batches(
        self,
        end: Callable[[Tensor], Tensor],
        function: Callable[[Tensor, Tensor], Tensor],
        result: tf.TensorSpec,
    ) -> tf.TensorArray:
        """Collect what `function(start, stop)` returns for the images of one batch, [n, ...], one batch after another.

        Args:
            end: takes the first image of a batch and returns what lies behind its last one, beyond `count` too.
            function: see above.
            result: dtype and shape, as far as it is known, of what `function` returns of one image.
        """

        def step(start: Tensor, array: tf.TensorArray) -> tuple[Tensor, tf.TensorArray]:
            stop = tf.minimum(end(start), self.count)
            return stop, array.scatter(tf.range(start, stop), function(start, stop))

        array = tf.TensorArray(result.dtype, self.count, infer_shape=False, element_shape=result.shape)
        _, array = tf.while_loop(
            lambda start, _: start < self.count, step, (tf.constant(0), array), parallel_iterations=1
        )
        return array

    def map(
        self,
        function: Callable[[Tensor], Tensor],
        result: tf.TensorSpec,
        start: Tensor | int = 0,
        stop: Tensor | None = None,
    ) -> tf.TensorArray:
        """Collect what `function(index)` returns for each image, one after the other: memory is bounded by one image.

        `result` is its dtype and, as far as it is known, its shape. With `start` and `stop` only the images from the
        one to before the other are taken.
        """
        start = tf.convert_to_tensor(start)
        stop = self.count if stop is None else stop

        def step(index: Tensor, array: tf.TensorArray) -> tuple[Tensor, tf.TensorArray]:
            return index + 1, array.write(index - start, function(index))

        array = tf.TensorArray(result.dtype, stop - start, infer_shape=False, element_shape=result.shape)
        _, array = tf.while_loop(lambda index, _: index < stop, step, (start, array), parallel_iterations=1)
        return array


def _on_the_host() -> AbstractContextManager[None]:
    """Nodes made inside run beside the server's threads, on a GPU's server too.

    Judging, decoding and counting launch no kernels there then, and an image crosses to the GPU once. Every TensorFlow
    has a device of this name.
    """
    device: AbstractContextManager[None] = tf.device("/cpu:0")
    return device


def _checked_vector(strings: Tensor, name: str) -> Tensor:
    is_vector = tf.equal(tf.size(tf.shape(strings)), 1)
    vector = refuse_unless(is_vector, name, " must be a vector of strings, one for each image")
    with tf.control_dependencies([vector]):
        strings = tf.identity(strings)
    strings.set_shape([None])
    return strings


def _name(index: Tensor) -> Tensor:
    return tf.strings.join(["image ", tf.strings.as_string(index)])
