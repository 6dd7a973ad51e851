"""Layers in 8-bit integers, for networks of convolutions and maximum pools on x86 builds of TensorFlow.

Activations are unsigned bytes, zero to a range that calibration found; filters are signed bytes. The first convolution
takes the pixels as they are: what subtracting the mean adds is in its biases. The last is in float32: it takes next to
no time and its rounding would show in the scores.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import NoReturn

import numpy as np
import tensorflow as tf

from ...errors import ExportError
from ...networks import Network
from ...networks.layers import Convolution
from ...networks.variables import full_name
from ...plan.options import GraphOptions
from ...types import Array, Padding, Tensor
from ...weights.quantization import Statistics, dequantized, filter_range, quantized, rounding_error
from ...weights.recipes import Recipe, Variables
from ..images.preprocessing import pad_around, to_pixels
from .int8_nodes import Activations, quantized_convolution, quantized_product
from .padding import with_fixed_padding, with_same_padding
from .products import as_product, is_product, transposed
from .x86 import FusedLayers


def _refuse(what: str) -> NoReturn:
    raise ExportError(
        "--precision int8 is for networks of convolutions and maximum pools alone, and this one has "
        f"{what}: choose --precision bfloat16 or another --net"
    )


def _refused(what: str) -> Callable[..., NoReturn]:
    """A layer that does not exist in 8 bits."""

    def layer(*arguments: Tensor, **options: Tensor) -> NoReturn:
        _refuse(what)

    return layer


class QuantizedLayers(FusedLayers):
    """Layers over int8 filters with `Activations` between them: pixels or prepared images in, float32 scores out."""

    takes_pixels = True

    def __init__(self, variables: Variables, network: Network, statistics: Mapping[str, Statistics]) -> None:
        """Make the filters of the checkpoint's tensors; `statistics` of each convolution, by scope."""
        super().__init__(variables, network.scope)
        self._network = network
        self._statistics = statistics

    def conv(self, net: Tensor, convolution: Convolution) -> Tensor:
        weights, biases = self.filter_and_biases(convolution)
        if convolution.gives_scores:
            net = tf.cast(tf.bitcast(net.values, tf.uint8), tf.float32) * (net.range / 255)
            return super()._convolve(net, convolution, (weights, biases))
        if not convolution.relu:
            _refuse(f"{convolution.scope} without ReLU")
        if not isinstance(net, Activations):
            net, convolution = self._pixels(net, convolution)
            biases = self._with_mean(weights, biases)
        if convolution.padding == "FIXED":
            _refuse(f"{convolution.scope} with padding of its own")
        return self._quantized(net, convolution, (weights, biases))

    def _pixels(self, net: Tensor, convolution: Convolution) -> tuple[Activations, Convolution]:
        """Pixels, padded with the mean colour, and the convolution without padding."""
        preprocessing = self._network.preprocessing
        if net.dtype != tf.uint8:
            net = to_pixels(net * preprocessing.scale + preprocessing.mean)
        padded = with_same_padding if convolution.padding == "SAME" else with_fixed_padding
        net, convolution = padded(net, convolution, lambda net, sides: pad_around(net, sides, self._network))
        return Activations(tf.bitcast(net, tf.quint8), 255 / preprocessing.scale), convolution

    def _with_mean(self, weights: Recipe, biases: Recipe) -> Recipe:
        """The biases less what the filter makes of the mean colour."""
        preprocessing = self._network.preprocessing
        mean = np.array(preprocessing.mean_rgb) / preprocessing.scale

        def less_mean(values: Array, filter_values: Array) -> Array:
            of_mean = np.einsum("hwio,i->o", dequantized(filter_values).astype(np.float64), mean)
            return np.asarray(values - of_mean, np.float32)

        return biases.combined(weights, less_mean)

    def _quantized(
        self, net: Activations, convolution: Convolution, recipes: tuple[Recipe, Recipe]
    ) -> Activations:
        weights, biases = recipes
        if convolution.depthwise:
            # As [h, w, 1, channels], so that each channel has a scale of its own.
            height, width, channels, _ = weights.shape
            weights = weights.then(lambda values: values.transpose(0, 1, 3, 2), (height, width, 1, channels))
        scope = full_name(self._scope, convolution.scope)
        statistics = self._statistics[scope]
        range_ = min(statistics.range, 6.0) if convolution.relu6 else statistics.range
        get = self._variables.get
        ranges_, biases_ = (
            tf.convert_to_tensor(get(f"{scope}/{name}", recipe))
            for name, recipe in (
                ("ranges", weights.then(filter_range, biases.shape)),
                ("biases", _corrected(weights, biases, statistics.inputs)),
            )
        )
        if not is_product(convolution, weights.shape, in_8_bits=True):
            values = tf.convert_to_tensor(get(f"{scope}/weights", weights.then(quantized), tf.int8))
            if convolution.depthwise:
                values = tf.transpose(values, [0, 1, 3, 2])
            filter_values = tf.bitcast(values, tf.qint8)
            return quantized_convolution(net, filter_values, ranges_, biases_, convolution, range_)
        matrix = tf.convert_to_tensor(get(f"{scope}/weights", transposed(weights.then(quantized)), tf.int8))

        def product(rows: Tensor) -> Tensor:  # no loop takes quantized tensors
            activations = Activations(tf.bitcast(rows, tf.quint8), net.range)
            filter_values = tf.bitcast(matrix, tf.qint8)
            result = quantized_product(activations, filter_values, ranges_, biases_, range_)
            return tf.bitcast(result.values, tf.uint8)

        values = tf.bitcast(net.values, tf.uint8)
        values = as_product(values, convolution, weights.shape[-1], product, in_strips=self._in_strips)
        return Activations(tf.bitcast(values, tf.quint8), range_)

    def max_pool(
        self, net: Activations, kernel: int = 2, *, stride: int = 2, rate: int = 1, padding: Padding = "VALID"
    ) -> Activations:
        if rate > 1:
            pixels = super().max_pool(
                tf.bitcast(net.values, tf.uint8), kernel, stride=stride, rate=rate, padding=padding
            )
            return Activations(tf.bitcast(pixels, tf.quint8), net.range)
        pooled, _, _ = tf.raw_ops.QuantizedMaxPool(
            input=net.values,
            min_input=0.0,
            max_input=net.range,
            ksize=[1, kernel, kernel, 1],
            strides=[1, stride, stride, 1],
            padding=padding,
        )
        return Activations(pooled, net.range)

    def in_strips(
        self, net: Tensor, blocks: Callable[[Tensor], Activations], stride: int, margin: int
    ) -> Activations:
        """See `Layers.in_strips`; bytes take little, and no loop takes quantized tensors."""
        return blocks(net)

    def pad_to(self, net: Activations, side: int) -> Activations:
        padded = super().pad_to(tf.bitcast(net.values, tf.uint8), side)
        return Activations(tf.bitcast(padded, tf.quint8), net.range)

    batch_norm = _refused("batch normalization without a convolution")
    avg_pool = global_pool = _refused("average pools")
    concat = shift = _refused("branches")
    relu = _refused("ReLU without a convolution")
    resize = _refused("feature maps of several sizes")

    def add(self, net: Tensor, residual: Tensor, *, scale: float = 1.0, relu: bool = False) -> Tensor:
        """See `Layers.add`; of scores alone, which are float32."""
        if isinstance(net, Activations):
            _refuse("residual blocks")
        return super().add(net, residual, scale=scale, relu=relu)


def require_layers_in_8_bits(network: Network, variables: Variables, options: GraphOptions) -> None:
    """Raise ExportError unless 8 bits have all layers of the network; no value is read."""
    unknown: Mapping[str, Statistics] = defaultdict(lambda: Statistics(1.0, np.zeros(1)))
    padding: Padding = "SAME" if options.geometry == "aligned" else "VALID"
    with tf.Graph().as_default():
        images = tf.compat.v1.placeholder(tf.float32, [1, None, None, 3])
        network.logits(images, QuantizedLayers(variables, network, unknown), padding, options.output_stride)


def _corrected(weights: Recipe, biases: Recipe, inputs: Array) -> Recipe:
    """The biases less what rounding the filter adds where it meets the mean of its inputs.

    Nagel et al., arXiv:1906.04721, section 4.2. ReLU leaves inputs whose mean is far from 0: without this, rounding
    shifts every channel's results.
    """

    def corrected(values: Array, filter_values: Array) -> Array:
        error = rounding_error(filter_values)
        added = inputs @ error if len(error) == len(inputs) else inputs * error[0]  # of depthwise filters
        return np.asarray(values - added, np.float32)

    return biases.combined(weights, corrected)
