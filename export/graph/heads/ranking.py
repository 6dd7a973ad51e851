"""From the scores of an image to its best classes and their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf

from ...types import Tensor
from ..images.checks import refuse_unless


@dataclass(frozen=True)
class Ranking:
    """The k best classes of each image, best first."""

    ids: Tensor  # int32 [N, k]
    names: Tensor  # string [N, k]
    scores: Tensor  # float32 [N, k], the probabilities of these classes
    probabilities: Tensor  # float32 [N, C] of all classes


class ClassNames:
    """The names of all classes in the current graph."""

    def __init__(self, names: Sequence[str]) -> None:
        self._count = len(names)
        self.all = tf.constant(names, tf.string, name="class_names")  # [C]

    def rank(self, logits: Tensor, k: int) -> Ranking:
        """Return the `k` best classes, or all if there are fewer, of logits [N, C]."""
        probabilities = tf.nn.softmax(tf.ensure_shape(logits, [None, self._count]))
        scores, ids = tf.math.top_k(probabilities, k=min(k, self._count))
        return Ranking(ids, tf.gather(self.all, ids), scores, probabilities)

    def look_up(self, ids: Tensor) -> Tensor:
        """Return the names of classes int32 [ids]; refuses a number that no class has."""
        known = refuse_unless(
            tf.reduce_all((ids >= 0) & (ids < self._count)),
            f"class_ids must lie between 0 and {self._count - 1}",
        )
        with tf.control_dependencies([known]):
            return tf.gather(self.all, tf.identity(ids))
