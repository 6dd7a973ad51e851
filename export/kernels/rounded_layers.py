"""Layers that round as `export.kernels.x86` does, for machines that can't run those."""

from __future__ import annotations

import tensorflow as tf

from ..networks.network import Tensor
from ..weights.recipes import Recipe
from .portable import Convolution, VariableLayers, stock_convolution


class RoundedLayers(VariableLayers):
    """Convolutions that add up in float32 and round what goes in and comes out to the dtype that is stored."""

    def _convolve(
        self, net: Tensor, scope: str, recipes: tuple[Recipe, Recipe], convolution: Convolution
    ) -> Tensor:
        values = (tf.cast(net, self._stored), *self._filter_and_biases(scope, recipes))
        net, weights, biases = (tf.cast(value, tf.float32) for value in values)
        return tf.cast(stock_convolution(net, weights, biases, convolution), self._stored)
