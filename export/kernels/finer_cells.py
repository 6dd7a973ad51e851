"""Scores closer together than a network's own, where a border's padding does not reach."""

from __future__ import annotations

import tensorflow as tf

from ..networks.network import Tensor


class FinerCells:
    """Two of the `Layers`, for all that work on TensorFlow's tensors."""

    def pad_to(self, net: Tensor, side: int) -> Tensor:
        """See `Layers.pad_to`."""
        rows, columns = (tf.maximum(side - tf.shape(net)[axis], 0) for axis in (1, 2))
        return tf.pad(net, [[0, 0], [0, rows], [0, columns], [0, 0]])

    def refine(self, net: Tensor, inner: Tensor, factor: int, margin: int) -> Tensor:
        """See `Layers.refine`."""
        size = (tf.shape(net)[1:3] - 1) * factor + 1
        around = tf.raw_ops.ResizeBilinear(images=net, size=size, align_corners=True)  # always float32
        inner = tf.cast(inner, tf.float32)
        inside = []
        for axis in (1, 2):
            place = tf.range(size[axis - 1]) - margin * factor
            inside.append((place >= 0) & (place < size[axis - 1] - 2 * margin * factor))
            inner = tf.gather(inner, tf.clip_by_value(place, 0, tf.shape(inner)[axis] - 1), axis=axis)
        return tf.where((inside[0][:, None] & inside[1])[..., None], inner, around)
