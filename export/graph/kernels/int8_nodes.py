"""oneDNN's own nodes in 8 bits: unsigned bytes in, unsigned bytes out, with biases and ReLU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from ...networks.layers import Convolution
from ...types import Tensor
from .node import convolution_attributes, node


class Activations(NamedTuple):
    """Values between layers: `values` times `range` / 255."""

    values: Tensor  # quint8 [N, H, W, C]
    range: float  # what 255 stands for


def quantized_convolution(
    net: Activations,
    weights: Tensor,
    ranges: Tensor,
    biases: Tensor,
    convolution: Convolution,
    range_: float,
) -> Activations:
    """Build a `_FusedQuantizedConv2D`, or a `_FusedQuantizedDepthwiseConv2D`.

    What it returns is rounded to the nearest and cut at 0 and `range_`.

    Args:
        net: [N, H, W, inputs].
        weights: qint8 [h, w, inputs, channels], or [h, w, channels, 1]; as they are in the first call, they are kept.
        ranges: float32 [channels], what 127 stands for in each channel. The kernel knows them again by their address:
            it must be the same in every call, as a variable's is.
        biases: float32 [channels].
        convolution: what else it does.
        range_: what 255 stands for in the result.
    """
    inputs = [
        net.values,
        weights,
        biases,
        *_constants(0.0, net.range),
        ranges,
        ranges,
        *_constants(0.0, range_),
    ]
    result = _requantized(
        f"_FusedQuantized{'Depthwise' if convolution.depthwise else ''}Conv2D",
        inputs,
        Tinput=tf.quint8,
        Tfilter=tf.qint8,
        Tsummand=tf.quint8,
        out_type=tf.quint8,
        is_filter_const=True,
        is_bias_const=True,
        explicit_paddings=[],
        **convolution_attributes(convolution),
    )
    return Activations(result, range_)


def quantized_product(
    net: Activations, matrix: Tensor, ranges: Tensor, biases: Tensor, range_: float
) -> Activations:
    """Build a `_QuantizedMatMul`, which rounds and cuts as `quantized_convolution` does and keeps nothing.

    Args:
        net: [n, inputs].
        matrix: qint8 [channels, inputs]: transposed, oneDNN multiplies it with a single row as it is. The other way
            round it would be reordered, which takes twice as long as the product.
        ranges: float32 [channels], what 127 stands for in each channel.
        biases: float32 [channels].
        range_: what 255 stands for in the result.
    """
    inputs = [
        net.values,
        matrix,
        biases,
        *_constants(0.0, net.range),
        -ranges,
        ranges,
        *_constants(0.0, range_),
    ]
    result = _requantized(
        "_QuantizedMatMul",
        inputs,
        T1=tf.quint8,
        T2=tf.qint8,
        U=tf.float32,
        Tout=tf.quint8,
        transpose_a=False,
        transpose_b=True,
        is_weight_const=False,
        is_bias_const=False,
        input_quant_mode="SCALED",
        output_quant_mode="SCALED",
    )
    result.set_shape([None, matrix.shape[0]])
    return Activations(result, range_)


def _requantized(op: str, inputs: Sequence[Tensor], **attributes: Any) -> Tensor:
    """The quint8 result of one of oneDNN's nodes in 8 bits, with biases and ReLU."""
    outputs = [tf.quint8, tf.float32, tf.float32]
    result, _, _ = node(
        op,
        inputs,
        outputs,
        Tbias=tf.float32,
        Tdevice_inputs=[],
        Thost_inputs=[tensor.dtype for tensor in inputs],
        Tdevice_outputs=[],
        Thost_outputs=outputs,
        fused_ops=["BiasAdd", "Relu", "Requantize"],
        **attributes,
    )
    return result


def _constants(*values: float) -> list[Tensor]:
    return [tf.constant(value, tf.float32) for value in values]
