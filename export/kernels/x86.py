"""Layers whose convolutions are oneDNN's own nodes, which x86 builds of TensorFlow have.

oneDNN wants a filter in blocks that suit the processor, and the runtime keeps the reordered filter only where it is a
constant. A constant of hundreds of megabytes is copied by every pass over the graph when a model is loaded; a variable
is reordered on every call. So the graph holds the node that the runtime itself makes of a convolution, its bias and
ReLU (tensorflow/core/common_runtime/mkl_layout_pass.cc), which is told that its filter is a constant although it is a
variable: no served variable ever changes.
"""

from __future__ import annotations

import tensorflow as tf

from ..networks.layers import Convolution
from ..types import Tensor
from ..weights.recipes import Recipe
from .node import convolution_attributes, node
from .portable import VariableLayers, stock_convolution


class FusedLayers(VariableLayers):
    """Layers in float32 or bfloat16, whichever is stored of each."""

    def _convolve(self, net: Tensor, convolution: Convolution, recipes: tuple[Recipe, Recipe]) -> Tensor:
        weights, biases = self._stored_values(convolution, recipes)
        return fused_convolution(tf.cast(net, weights.dtype), weights, biases, convolution)


class EmulatedLayers(VariableLayers):
    """Layers of stock ops that round where `FusedLayers` round, for machines that can't run those.

    A convolution adds up in float32. What goes in and what comes out is rounded to the dtype that is stored.
    """

    def _convolve(self, net: Tensor, convolution: Convolution, recipes: tuple[Recipe, Recipe]) -> Tensor:
        weights, biases = self._stored_values(convolution, recipes)
        stored = weights.dtype
        values = (tf.cast(net, stored), weights, biases)
        net, weights, biases = (tf.cast(value, tf.float32) for value in values)
        return tf.cast(stock_convolution(net, weights, biases, convolution), stored)


def fused_convolution(net: Tensor, weights: Tensor, biases: Tensor, convolution: Convolution) -> Tensor:
    """Build a `_MklNativeFusedConv2D`.

    Args:
        net: [N, H, W, inputs], float32 or bfloat16, as are the others.
        weights: [h, w, inputs, channels]; as they are in the first call, they are kept.
        biases: [channels].
        convolution: what else it does.
    """
    (net,) = node(
        "_MklNativeFusedConv2D",
        [net, weights, biases],
        [net.dtype],
        T=net.dtype,
        TArgs=[biases.dtype],
        num_args=1,
        num_host_args=0,
        filter_format="HWIO",
        _kernel="MklNameChangeOp",
        fused_ops=["BiasAdd", "Relu"] if convolution.relu else ["BiasAdd"],
        is_filter_const=True,
        **convolution_attributes(convolution),
    )
    return net
