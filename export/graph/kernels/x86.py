"""Layers whose convolutions are oneDNN's own nodes, which x86 builds of TensorFlow have.

oneDNN wants a filter in blocks that suit the processor, and the runtime keeps the reordered filter only where it is a
constant. A constant of hundreds of megabytes is copied by every pass over the graph when a model is loaded; a variable
is reordered on every call. So the graph holds the node that the runtime itself makes of a convolution, its bias and
ReLU (tensorflow/core/common_runtime/mkl_layout_pass.cc), which is told that its filter is a constant although it is a
variable: no served variable ever changes. Large filters are multiplied as they are instead
(`export.graph.kernels.products`).
"""

from __future__ import annotations

import tensorflow as tf

from ...networks.layers import Activation, Convolution
from ...types import Tensor
from .node import convolution_attributes, node
from .portable import VariableLayers, stock_convolution, stock_product


class FusedLayers(VariableLayers):
    """Layers in float32 or bfloat16, whichever is stored of each."""

    def _convolution(self, net: Tensor, weights: Tensor, biases: Tensor, convolution: Convolution) -> Tensor:
        return fused_convolution(net, weights, biases, convolution)

    def _product(self, rows: Tensor, matrix: Tensor, biases: Tensor, activation: Activation | None) -> Tensor:
        return fused_product(rows, matrix, biases, activation)


class EmulatedLayers(VariableLayers):
    """Layers of stock ops that round where `FusedLayers` round, for machines that can't run those.

    A convolution adds up in float32. What goes in and what comes out is rounded to the dtype that is stored.
    """

    def _convolution(self, net: Tensor, weights: Tensor, biases: Tensor, convolution: Convolution) -> Tensor:
        net_, weights, biases = (tf.cast(value, tf.float32) for value in (net, weights, biases))
        return tf.cast(stock_convolution(net_, weights, biases, convolution), net.dtype)

    def _product(self, rows: Tensor, matrix: Tensor, biases: Tensor, activation: Activation | None) -> Tensor:
        rows_, matrix, biases = (tf.cast(value, tf.float32) for value in (rows, matrix, biases))
        return tf.cast(stock_product(rows_, matrix, biases, activation), rows.dtype)


def fused_convolution(net: Tensor, weights: Tensor, biases: Tensor, convolution: Convolution) -> Tensor:
    """Build a `_MklNativeFusedConv2D`, or a `_MklNativeFusedDepthwiseConv2dNative`.

    Args:
        net: [N, H, W, inputs], float32 or bfloat16, as are the others.
        weights: [h, w, inputs, channels], or [h, w, channels, 1]; as they are in the first call, they are kept.
        biases: [channels].
        convolution: what else it does.
    """
    op, of_the_op = "_MklNativeFusedDepthwiseConv2dNative", {}
    if not convolution.depthwise:
        op = "_MklNativeFusedConv2D"
        of_the_op = {
            "TArgs": [biases.dtype],
            "num_host_args": 0,
            "filter_format": "HWIO",
            "explicit_paddings": [],
        }
    (net,) = node(
        op,
        [net, weights, biases],
        [net.dtype],
        T=net.dtype,
        num_args=1,
        _kernel="MklNameChangeOp",
        fused_ops=_fused(convolution.activation),
        is_filter_const=True,
        **of_the_op,
        **convolution_attributes(convolution),
    )
    return net


def fused_product(rows: Tensor, matrix: Tensor, biases: Tensor, activation: Activation | None) -> Tensor:
    """Build a `_FusedMatMul`, which adds up in float32, keeps nothing, and rounds once.

    Args:
        rows: [n, inputs], float32 or bfloat16, as are the others.
        matrix: [inputs, channels].
        biases: [channels].
        activation: what follows.
    """
    (net,) = node(
        "_FusedMatMul",
        [rows, matrix, biases],
        [rows.dtype],
        T=rows.dtype,
        num_args=1,
        transpose_a=False,
        transpose_b=False,
        fused_ops=_fused(activation),
    )
    return tf.ensure_shape(net, [None, matrix.shape[-1]])


def _fused(activation: Activation | None) -> list[str]:
    return ["BiasAdd", *([activation] if activation else [])]
