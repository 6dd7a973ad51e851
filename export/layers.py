"""A network's layers over variables that a SavedModel holds."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from export.networks.network import Padding, Tensor


class VariableLayers:
    """Layers of stock TensorFlow ops, portable to every build of TensorFlow Serving."""

    def __init__(self, variables: Mapping[str, tf.Variable], scope: str) -> None:
        """Read weights and biases from `variables`, named `<scope>/<layer>/weights` and `/biases`."""
        self._variables = variables
        self._scope = scope

    def conv(self, net: Tensor, scope: str, *, padding: Padding = "SAME", relu: bool = True) -> Tensor:
        """See `Layers.conv`."""
        weights = self._variables[f"{self._scope}/{scope}/weights"]
        biases = self._variables[f"{self._scope}/{scope}/biases"]
        net = tf.nn.bias_add(tf.nn.conv2d(net, weights, strides=1, padding=padding), biases)
        return tf.nn.relu(net) if relu else net

    def max_pool(self, net: Tensor) -> Tensor:
        """See `Layers.max_pool`."""
        return tf.nn.max_pool2d(net, ksize=2, strides=2, padding="VALID")
