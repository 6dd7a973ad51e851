"""Networks with a sixteenth of their channels, so that NumPy can follow."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from export.model_variables import Recipe
from export.networks.network import Network

NARROWER = 16


def narrow_weights(network: Network, classes: int) -> dict[str, np.ndarray]:
    """Random variables of the network by full name, but for three channels of the image and the classes narrower."""
    random = np.random.default_rng(3)
    weights = {}
    for name, shape in network.expected_variables().items():
        sizes = [classes if size is None else size // NARROWER if size >= 64 else size for size in shape]
        spread = 1.0 if len(sizes) == 1 else np.sqrt(2 / np.prod(sizes[:-1]))
        weights[name] = random.normal(0, spread, sizes).astype(np.float32)
    return weights


class Constants:
    """Values in place of a SavedModel's variables."""

    def __init__(self, values: dict[str, np.ndarray]) -> None:
        self._values = values

    def copy_of(self, tensor: str) -> Recipe:
        return Recipe(self._values[tensor].shape, (tensor,), np.asarray)

    def get(self, name: str, recipe: Recipe, dtype: tf.DType = tf.float32) -> tf.Tensor:
        return tf.constant(recipe.make(*(self._values[source] for source in recipe.sources)), dtype)
