"""Checks in the graph that refuse a request in words that its sender understands."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from ...networks import Network
from ...plan.options import GraphOptions
from ...types import Tensor

# The network pads a shorter side: without this rule an image of 1x4000000 pixels would cost what 32x4000000 do.
_SHORTEST_SIDE = 32


def refuse_unless(condition: Tensor, *message: Tensor | str) -> tf.Operation:
    """Build an op that fails with INVALID_ARGUMENT and the joined message where `condition` is false."""
    parts = [tf.strings.as_string(part) if _is_number(part) else part for part in message]
    text = parts[0] if len(parts) == 1 else tf.strings.join(parts)
    return tf.raw_ops.Assert(condition=condition, data=[text], summarize=1)


def _rounded_up(sides: Tensor) -> Tensor:
    return (sides + _SHORTEST_SIDE - 1) // _SHORTEST_SIDE * _SHORTEST_SIDE


def _is_number(part: Tensor | str) -> bool:
    return not isinstance(part, str) and part.dtype != tf.string


@dataclass(frozen=True)
class Bounds:
    """What one request may ask for."""

    max_images: int  # in a request
    max_pixels: int  # of an image
    max_request_pixels: int  # of all images of a request together
    least_pixels: int  # what an image counts as at least: a crop costs the same however small its image is

    @classmethod
    def of(cls, options: GraphOptions, network: Network) -> Bounds:
        """The bounds that an export is given."""
        return cls(options.max_images, options.max_pixels, options.max_request_pixels, network.crop**2)

    def surely_allow(self, shape: Tensor) -> Tensor:
        """Whether `images` of a shape, int64, are RGB pixels and pass all the checks below by a rough count.

        Each side counts as a multiple of 32. What is not surely allowed may be allowed all the same.
        """
        count, height, width, channels = tf.unstack(tf.pad(shape, [[0, 4]])[:4], num=4)
        pixels = tf.reduce_prod(_rounded_up(tf.stack([height, width])))
        within = tf.stack(
            [
                tf.equal(tf.size(shape), 4),
                tf.equal(channels, 3),
                tf.reduce_min(shape[:4]) > 0,
                count <= self.max_images,
                pixels <= self.max_pixels,
                count * tf.maximum(pixels, self.least_pixels) <= self.max_request_pixels,
            ]
        )
        return tf.reduce_all(within)

    def check_count(self, count: Tensor) -> tf.Operation:
        """Refuse a request of no image, or of too many; `count` is an int32 scalar."""
        some = refuse_unless(count > 0, "the batch is empty: send at least one image")
        with tf.control_dependencies([some]):
            return refuse_unless(
                count <= self.max_images, "the request has ", count, " images: this model takes at most "
                f"{self.max_images} in a request; send several requests, or export with a larger --max-images",
            )  # fmt: skip

    def check_size(self, height: Tensor, width: Tensor, what: Tensor | str) -> tf.Operation:
        """Refuse an image without pixels or with more than `max_pixels`; int64 scalars, in pixels.

        A side below 32 pixels counts as 32 where the other is longer than that.
        """
        sides = tf.stack([width, height])
        text = tf.strings.reduce_join(tf.strings.as_string(sides), separator="x")
        some = refuse_unless(tf.reduce_all(sides > 0), what, " has no pixels: it is ", text)
        # In float64, as the product of two int64 may wrap; it is exact up to 2^53.
        pixels = tf.reduce_prod(
            tf.cast(tf.stack([sides, tf.maximum(sides, _SHORTEST_SIDE)]), tf.float64), axis=1
        )
        with tf.control_dependencies([some]):
            return refuse_unless(
                tf.reduce_all(pixels <= [self.max_pixels, max(self.max_pixels, _SHORTEST_SIDE**2)]),
                what, " is ", text, " pixels (width x height; sides below 32 count as 32): this model "
                f"takes at most {self.max_pixels} pixels; send a smaller image, or export with a larger --max-pixels",
            )  # fmt: skip

    def check_request(self, sizes: Tensor) -> tf.Operation:
        """Refuse images, int32 [N, 2] heights and widths that `check_size` has passed, of too many pixels together.

        What the network runs over counts: sides rounded up to 32 pixels, and `least_pixels` an image at least.
        """
        sides = _rounded_up(tf.cast(sizes, tf.int64))
        pixels = tf.reduce_sum(tf.maximum(tf.reduce_prod(sides, axis=1), self.least_pixels))
        # One image alone is within `max_pixels`, however its sides are rounded.
        return refuse_unless(
            tf.equal(tf.shape(sizes)[0], 1) | (pixels <= self.max_request_pixels),
            "the request has ", pixels, " pixels in all (each side counts as a multiple of 32, each image as at least "
            f"{self.least_pixels}): this model takes at most {self.max_request_pixels} in a request; send fewer images "
            "at a time, or export with a larger --max-request-pixels",
        )  # fmt: skip
