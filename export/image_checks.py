"""Checks in the graph that refuse an image in words that its sender understands."""

from __future__ import annotations

import tensorflow as tf

from export.networks.network import Tensor

# The network pads a shorter side: without this rule an image of 1x4000000 pixels would cost what 32x4000000 do.
_SHORTEST_SIDE = 32


def refuse_unless(condition: Tensor, *message: Tensor | str) -> tf.Operation:
    """Build an op that fails with INVALID_ARGUMENT and the joined message where `condition` is false."""
    parts = [part if isinstance(part, str) else tf.strings.as_string(part) for part in message]
    return tf.raw_ops.Assert(condition=condition, data=[tf.strings.join(parts)], summarize=1)


def check_size(height: Tensor, width: Tensor, max_pixels: int, what: Tensor | str) -> tf.Operation:
    """Build an op that refuses an image without pixels or with more than `max_pixels`; int64 scalars, in pixels.

    A side below 32 pixels counts as 32 where the other is longer than that.
    """
    some = refuse_unless((height > 0) & (width > 0), what, " has no pixels: it is ", width, "x", height)
    tall, wide = tf.maximum(height, _SHORTEST_SIDE), tf.maximum(width, _SHORTEST_SIDE)
    limit = max(max_pixels, _SHORTEST_SIDE**2)
    # Sides are below 2^32, so their product may wrap: a wrapped one is below zero or its sides alone are too large.
    small = (tall <= limit) & (wide <= limit) & (tall * wide <= limit) & (height * width <= max_pixels)
    fits = refuse_unless(
        small, what, " is ", width, "x", height, " pixels (width x height; sides below 32 count as 32): this model "
        f"takes at most {max_pixels} pixels; send a smaller image, or export with a larger --max-pixels",
    )  # fmt: skip
    return tf.group(some, fits)
