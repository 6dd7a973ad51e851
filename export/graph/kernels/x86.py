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
from .portable import VariableLayers, activated, stock_convolution, stock_product


class FusedLayers(VariableLayers):
    """Layers in float32 or bfloat16, whichever is stored of each."""

    _transposed = tf.bfloat16  # oneDNN packs such a matrix in less time, and one in float32 in more

    def _convolution(self, net: Tensor, weights: Tensor, biases: Tensor, convolution: Convolution) -> Tensor:
        return fused_convolution(net, weights, biases, convolution)

    def _product(self, rows: Tensor, matrix: Tensor, biases: Tensor, activation: Activation | None) -> Tensor:
        if matrix.dtype != self._transposed:
            return fused_product(rows, matrix, biases, activation)

        def of_one_row() -> Tensor:
            return fused_product(rows, matrix, biases, activation, transposed=True)

        if not self._in_strips:  # converters take no branches either
            return of_one_row()
        return tf.cond(
            tf.equal(tf.shape(rows)[0], 1),
            of_one_row,
            lambda: fused_batched_product(rows, matrix, biases, activation),
        )


class EmulatedLayers(VariableLayers):
    """Layers of stock ops that round where `FusedLayers` round, for machines that can't run those.

    A convolution adds up in float32. What goes in and what comes out is rounded to the dtype that is stored.
    """

    _transposed = FusedLayers._transposed

    def _convolution(self, net: Tensor, weights: Tensor, biases: Tensor, convolution: Convolution) -> Tensor:
        net_, weights, biases = (tf.cast(value, tf.float32) for value in (net, weights, biases))
        return tf.cast(stock_convolution(net_, weights, biases, convolution), net.dtype)

    def _product(self, rows: Tensor, matrix: Tensor, biases: Tensor, activation: Activation | None) -> Tensor:
        transposed = matrix.dtype == self._transposed
        rows_, matrix, biases = (tf.cast(value, tf.float32) for value in (rows, matrix, biases))
        result = stock_product(rows_, matrix, biases, activation, transposed=transposed)
        return tf.cast(result, rows.dtype)


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


def fused_product(
    rows: Tensor, matrix: Tensor, biases: Tensor, activation: Activation | None, *, transposed: bool = False
) -> Tensor:
    """Build a `_FusedMatMul`, oneDNN's inner product, which adds up in float32, keeps nothing, and rounds once.

    Args:
        rows: [n, inputs], float32 or bfloat16, as are the others.
        matrix: [inputs, channels].
        biases: [channels].
        activation: what follows.
        transposed: whether the matrix is [channels, inputs].
    """
    (net,) = node(
        "_FusedMatMul",
        [rows, matrix, biases],
        [rows.dtype],
        T=rows.dtype,
        num_args=1,
        transpose_a=False,
        transpose_b=transposed,
        fused_ops=_fused(activation),
    )
    return tf.ensure_shape(net, [None, biases.shape[0]])


def fused_batched_product(
    rows: Tensor, matrix: Tensor, biases: Tensor, activation: Activation | None
) -> Tensor:
    """Build a `_MklFusedBatchMatMulV2`, oneDNN's product of matrices, which rounds as `fused_product` does.

    Of a transposed matrix in bfloat16 it takes less time than an inner product, but for one row: then more.

    Args:
        rows: [n, inputs], float32 or bfloat16, as are the others.
        matrix: [channels, inputs].
        biases: [channels].
        activation: what follows.
    """
    (net,) = node(
        "_MklFusedBatchMatMulV2",
        [rows[None, None], matrix[None, None], tf.ones([], rows.dtype), biases[None, None, None]],
        [rows.dtype],
        T=rows.dtype,
        num_args=2,
        adj_x=False,
        adj_y=True,
        fused_ops=["Mul", "Add"],  # by one, since it has no "Add" alone
    )
    return activated(tf.reshape(net, [-1, biases.shape[0]]), activation)


def _fused(activation: Activation | None) -> list[str]:
    return ["BiasAdd", *([activation] if activation else [])]
