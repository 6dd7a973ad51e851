"""Tensors of a checkpoint in place of a SavedModel's variables, so that layers can be run at once."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from ..types import Array, Tensor
from ..weights.recipes import Recipe
from .random_weights import Tensors


class Constants:
    """`Variables` that are constants; an array that several names share is one constant."""

    def __init__(self, tensors: Tensors) -> None:
        self._tensors = tensors
        self._held: dict[int, tuple[Array, Tensor]] = {}

    def copy_of(self, tensor: str) -> Recipe:
        return Recipe(self._tensors[tensor].shape, (tensor,), np.asarray)

    def get(self, name: str, recipe: Recipe, dtype: tf.DType = tf.float32) -> Tensor:
        value = recipe.make(*(self._tensors[source] for source in recipe.sources))
        if id(value) not in self._held:
            with tf.init_scope():  # else a traced function would hold it in its graph
                self._held[id(value)] = value, tf.constant(value, dtype)
        return self._held[id(value)][1]
