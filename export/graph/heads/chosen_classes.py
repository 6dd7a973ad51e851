"""Which classes compete for the labels of a label map: those that a request names, or all."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from ...types import Array, Tensor
from ..images.checks import refuse_unless


class ChosenClasses:
    """The classes of a request in the current graph.

    Attributes:
        default: int32 [C], every class. Who leaves the input out is answered as if this were given.
        given: placeholder, int32 [K].
        ids: int32, the classes given, ascending, each once; reading it refuses what names no class.
    """

    def __init__(self, classes: int) -> None:
        """Build the input for a model of `classes` classes."""
        self.default: Array = np.arange(classes, dtype=np.int32)
        self.given = tf.compat.v1.placeholder_with_default(self.default, shape=None, name="classes")
        shape = tf.strings.reduce_join(tf.strings.as_string(tf.shape(self.given)), separator=", ")
        is_list = refuse_unless(
            tf.equal(tf.rank(self.given), 1),
            "classes must be a list of class ids, int32 [K], not [",
            shape,
            "]",
        )
        with tf.control_dependencies([is_list]):
            given = tf.reshape(self.given, [-1])
        some = refuse_unless(
            tf.size(given) > 0, "classes is empty: name one class or more, or leave classes out for all"
        )
        unknown = tf.boolean_mask(given, (given < 0) | (given >= classes))
        with tf.control_dependencies([some]):
            known = refuse_unless(
                tf.equal(tf.size(unknown), 0),
                f"classes must be class ids, from 0 to {classes - 1}, not ",
                tf.strings.reduce_join(tf.strings.as_string(unknown[:1])),
            )
        with tf.control_dependencies([known]):
            competes = tf.scatter_nd(given[:, None], tf.ones_like(given), [classes]) > 0
        self.ids = tf.cast(tf.where(competes)[:, 0], tf.int32)

    def scores(self, logits: Tensor) -> Tensor:
        """Of logits [..., C] those of the classes `ids`: [..., K]."""
        chosen = tf.size(self.ids) < len(self.default)
        return tf.cond(chosen, lambda: tf.gather(logits, self.ids, axis=-1), lambda: logits)

    def labels(self, best: Tensor) -> Tensor:
        """The classes that stand at places int32 [H, W] of `ids`."""
        return tf.gather(self.ids, best)
