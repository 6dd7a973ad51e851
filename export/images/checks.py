"""Checks in the graph that refuse an image in words that its sender understands."""

from __future__ import annotations

import tensorflow as tf

from ..types import Tensor

# The network pads a shorter side: without this rule an image of 1x4000000 pixels would cost what 32x4000000 do.
_SHORTEST_SIDE = 32


def refuse_unless(condition: Tensor, *message: Tensor | str) -> tf.Operation:
    """Build an op that fails with INVALID_ARGUMENT and the joined message where `condition` is false."""
    parts = [tf.strings.as_string(part) if _is_number(part) else part for part in message]
    text = parts[0] if len(parts) == 1 else tf.strings.join(parts)
    return tf.raw_ops.Assert(condition=condition, data=[text], summarize=1)


def _is_number(part: Tensor | str) -> bool:
    return not isinstance(part, str) and part.dtype != tf.string


def check_size(height: Tensor, width: Tensor, max_pixels: int, what: Tensor | str) -> tf.Operation:
    """Build an op that refuses an image without pixels or with more than `max_pixels`; int64 scalars, in pixels.

    A side below 32 pixels counts as 32 where the other is longer than that.
    """
    sides = tf.stack([width, height])
    text = tf.strings.reduce_join(tf.strings.as_string(sides), separator="x")
    some = refuse_unless(tf.reduce_all(sides > 0), what, " has no pixels: it is ", text)
    # In float64, as the product of two int64 may wrap; it is exact up to 2^53.
    pixels = tf.reduce_prod(tf.cast(tf.stack([sides, tf.maximum(sides, _SHORTEST_SIDE)]), tf.float64), axis=1)
    fits = refuse_unless(
        tf.reduce_all(pixels <= [max_pixels, max(max_pixels, _SHORTEST_SIDE**2)]),
        what, " is ", text, " pixels (width x height; sides below 32 count as 32): this model "
        f"takes at most {max_pixels} pixels; send a smaller image, or export with a larger --max-pixels",
    )  # fmt: skip
    return tf.group(some, fits)
