"""The first layers of a network, a strip of rows at a time where an image is large.

They work at the image's own size, on more channels than any pixel has: of 2048x2048 pixels VGG's first two
convolutions take and give 1 GB each in float32, the next two 0.5 GB, more than all that follow. A strip sees so many
rows beyond its own that no answer depends on where it is cut.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from ...types import Tensor

_PIXELS_AT_ONCE = 2**19  # 134 MB of 64 channels in float32


def in_strips(net: Tensor, blocks: Callable[[Tensor], Tensor], stride: int, margin: int) -> Tensor:
    """What `blocks` make of `net`, in one piece where it is small.

    Args:
        net: [N, H, W, C].
        blocks: convolutions with "SAME" padding, and pools that halve both sides, odd ones rounded down.
        stride: of all pools.
        margin: rows that the convolutions see beyond a position of the result, a multiple of `stride`.

    Returns:
        [N, H // stride, W // stride, channels].
    """
    images, rows, columns = (tf.shape(net)[axis] for axis in (0, 1, 2))
    at_once = tf.maximum(_PIXELS_AT_ONCE // (stride * images * columns), 1) * stride
    made = blocks(net[:, : at_once + margin])[:, : at_once // stride]

    def step(start: Tensor, done: Tensor) -> tuple[Tensor, Tensor]:
        before = tf.maximum(start - margin, 0)
        strip = blocks(net[:, before : start + at_once + margin])
        first = (start - before) // stride
        return start + at_once, tf.concat([done, strip[:, first : first + at_once // stride]], 1)

    _, made = tf.while_loop(
        lambda start, _: start < rows,
        step,
        (at_once, made),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([made.shape[0], None, None, made.shape[3]])),
        parallel_iterations=1,
    )
    return made
