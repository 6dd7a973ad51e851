"""A network's layers over variables that a SavedModel holds."""

from __future__ import annotations

import functools

import tensorflow as tf

from export.model_variables import Variables
from export.networks.network import Padding, Tensor


class VariableLayers:
    """Layers of stock TensorFlow ops, portable to every build of TensorFlow Serving."""

    def __init__(self, variables: Variables, scope: str) -> None:
        """Read weights and biases from `<scope>/<layer>/weights` and `/biases`."""
        self._variables = variables
        self._scope = scope

    def conv(
        self,
        net: Tensor,
        scope: str,
        channels: int | None,
        kernel: int,
        *,
        stride: int = 1,
        rate: int = 1,
        padding: Padding = "SAME",
        relu: bool = True,
    ) -> Tensor:
        """See `Layers.conv`."""
        weights, biases = (
            self._variables.get(name, self._variables.copy_of(name))
            for name in (f"{self._scope}/{scope}/weights", f"{self._scope}/{scope}/biases")
        )
        net = tf.nn.conv2d(net, weights, strides=stride, padding=padding, dilations=rate)
        net = tf.nn.bias_add(net, biases)
        return tf.nn.relu(net) if relu else net

    def max_pool(
        self, net: Tensor, kernel: int = 2, *, stride: int = 2, rate: int = 1, padding: Padding = "VALID"
    ) -> Tensor:
        """See `Layers.max_pool`."""
        if rate == 1:
            return tf.nn.max_pool2d(net, ksize=kernel, strides=stride, padding=padding)
        # TensorFlow has no dilated maximum: along one axis after the other it is one of shifted copies.
        rows, columns = (tf.shape(net)[axis] - rate * (kernel - 1) for axis in (1, 2))
        shifts = range(0, rate * kernel, rate)
        net = functools.reduce(tf.maximum, (net[:, shift : shift + rows] for shift in shifts))
        return functools.reduce(tf.maximum, (net[:, :, shift : shift + columns] for shift in shifts))
