"""The first layers of a network, a strip of rows at a time where an image is large.

They work at the image's own size, on more channels than any pixel has: of 2048x2048 pixels VGG's first two
convolutions take and give 1 GB each in float32, more than all that follow. A strip sees so many rows beyond its own
that no answer depends on where it is cut.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from ...types import Tensor

_PIXELS_AT_ONCE = 2**20  # 268 MB of 64 channels in float32


def in_strips(net: Tensor, block: Callable[[Tensor], Tensor], margin: int) -> Tensor:
    """What `block` makes of `net`, in one piece where it is small.

    Args:
        net: [N, H, W, C].
        block: convolutions with "SAME" padding and a pool that halves both sides, odd ones rounded down.
        margin: rows that the convolutions see beyond a position, even.

    Returns:
        [N, H // 2, W // 2, channels].
    """
    images, rows, columns = (tf.shape(net)[axis] for axis in (0, 1, 2))
    at_once = tf.maximum(_PIXELS_AT_ONCE // (2 * images * columns), 1) * 2
    made = block(net[:, : at_once + margin])[:, : at_once // 2]

    def step(start: Tensor, done: Tensor) -> tuple[Tensor, Tensor]:
        before = tf.maximum(start - margin, 0)
        strip = block(net[:, before : start + at_once + margin])
        first = (start - before) // 2
        return start + at_once, tf.concat([done, strip[:, first : first + at_once // 2]], 1)

    _, made = tf.while_loop(
        lambda start, _: start < rows,
        step,
        (at_once, made),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([made.shape[0], None, None, made.shape[3]])),
        parallel_iterations=1,
    )
    return made
