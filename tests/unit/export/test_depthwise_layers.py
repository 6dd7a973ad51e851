"""Depthwise convolutions and ReLU6 in every kind of layers, one at a time, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from slimserve.export.demo.constants import Constants
from slimserve.export.graph.kernels.int8 import QuantizedLayers
from slimserve.export.graph.kernels.int8_nodes import Activations, quantized_convolution
from slimserve.export.graph.kernels.portable import VariableLayers, stock_product
from slimserve.export.graph.kernels.x86 import EmulatedLayers, FusedLayers, fused_product
from slimserve.export.networks.layers import Convolution
from slimserve.export.weights.folding import Depthwise
from slimserve.export.weights.quantization import Statistics, quantized

from tests.support.small_network import SMALL
from tests.support.tensors import run

RANDOM = np.random.default_rng(17)
CHANNELS = 20
FILTER = RANDOM.normal(0, 0.5, (3, 3, CHANNELS, 1)).astype(np.float32)
BIASES = RANDOM.normal(0, 1, CHANNELS).astype(np.float32)
TENSORS = {"small/deep/depthwise_weights": FILTER, "small/deep/biases": BIASES}
CASES = [(1, 1), (2, 1), (1, 2), (1, 4)]


def padded(net: np.ndarray, stride: int, rate: int) -> np.ndarray:
    """Padded as "SAME" pads it for 3x3 (https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2)."""
    totals = [max((-(-side // stride) - 1) * stride + 2 * rate + 1 - side, 0) for side in net.shape[:2]]
    return np.pad(net, [*((total // 2, total - total // 2) for total in totals), (0, 0)])


def depthwise(net: np.ndarray, weights: np.ndarray, stride: int, rate: int) -> np.ndarray:
    """[H, W, C] by [3, 3, C, 1], in float64."""
    net = padded(net.astype(np.float64), stride, rate)
    windows = np.lib.stride_tricks.sliding_window_view(net, (2 * rate + 1, 2 * rate + 1), (0, 1))
    windows = windows[::stride, ::stride, :, ::rate, ::rate]
    return np.asarray(np.einsum("ijchw,hwc->ijc", windows, weights[..., 0]))


def convolution(stride: int, rate: int, *, relu6: bool = True, relu: bool = True) -> Convolution:
    return Convolution("deep", CHANNELS, 3, stride, rate, relu=relu, relu6=relu6, stored=Depthwise())


@pytest.mark.parametrize("relu", ["Relu6", "Relu", None])
@pytest.mark.parametrize(("stride", "rate"), CASES)
@pytest.mark.parametrize("kind", [VariableLayers, FusedLayers])
def test_each_channel_is_convolved_alone(
    kind: type[VariableLayers], stride: int, rate: int, relu: str | None
) -> None:
    net = RANDOM.normal(0, 3, (13, 16, CHANNELS)).astype(np.float32)
    expected = depthwise(net, FILTER, stride, rate) + BIASES
    if relu:
        expected = np.clip(expected, 0, 6 if relu == "Relu6" else None)
    with tf.Graph().as_default():
        what = convolution(stride, rate, relu6=relu == "Relu6", relu=relu is not None)
        found = run(kind(Constants(TENSORS), "small").conv(tf.constant(net[None]), what))[0]
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("kind", [VariableLayers, EmulatedLayers, FusedLayers])
def test_bfloat16_leaves_the_filter_and_the_result_in_float32(kind: type[VariableLayers]) -> None:
    net = tf.cast(RANDOM.normal(0, 3, (1, 13, 16, CHANNELS)), tf.bfloat16).numpy()
    expected = np.clip(depthwise(net[0].astype(np.float64), FILTER, 1, 1) + BIASES, 0, 6)
    with tf.Graph().as_default():
        result = kind(Constants(TENSORS), "small", tf.bfloat16).conv(tf.constant(net), convolution(1, 1))
        assert result.dtype == tf.float32
        found = run(result)[0]
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(("stride", "rate"), CASES)
def test_8_bits_are_those_of_integers(stride: int, rate: int) -> None:
    net = RANDOM.integers(0, 256, (13, 16, CHANNELS))
    weights = quantized(FILTER.transpose(0, 1, 3, 2)).transpose(0, 1, 3, 2)
    ranges = RANDOM.uniform(0.5, 2, CHANNELS).astype(np.float32)
    values = depthwise(net, weights, stride, rate) * (2.0 / 255) * (ranges / 127) + BIASES
    expected = np.clip(np.rint(values * 255 / 5), 0, 255)
    with tf.Graph().as_default():
        result = quantized_convolution(
            Activations(tf.bitcast(tf.constant(net[None], tf.uint8), tf.quint8), 2.0),
            tf.bitcast(tf.constant(weights), tf.qint8),
            tf.constant(ranges),
            tf.constant(BIASES),
            convolution(stride, rate),
            5.0,
        )
        found = run(tf.bitcast(result.values, tf.uint8))[0]
    difference = np.abs(found - expected)
    assert difference.max() <= 1  # float32 may round a tie to the other side
    assert np.count_nonzero(difference) <= difference.size // 100
    assert 0 < np.count_nonzero(expected == 0) < expected.size


@pytest.mark.parametrize("largest", [4.0, 50.0])
def test_layers_in_8_bits_have_a_scale_for_each_channel_and_end_at_6(largest: float) -> None:
    scales = np.float32(10.0) ** RANDOM.uniform(-2, 1, CHANNELS).astype(np.float32)
    filters = FILTER * scales[:, None]
    variables = Constants(TENSORS | {"small/deep/depthwise_weights": filters})
    net = RANDOM.integers(0, 256, (13, 16, CHANNELS)).astype(np.uint8)
    inputs = net.mean(axis=(0, 1)) / 255
    with tf.Graph().as_default():
        layers = QuantizedLayers(variables, SMALL, {"small/deep": Statistics(largest, inputs)})
        activations = Activations(tf.bitcast(tf.constant(net[None]), tf.quint8), 1.0)
        result = layers.conv(activations, convolution(1, 1))
        found = run(tf.bitcast(result.values, tf.uint8))[0] * (result.range / 255)
    expected = np.clip(depthwise(net / 255, filters, 1, 1) + BIASES, 0, min(largest, 6))
    assert result.range == min(largest, 6)
    # A filter's values are off by half a step of 1/127 of the largest, and so is the result by its own.
    bound = 9 * 0.5 * np.abs(filters).max(axis=(0, 1, 3)) / 127 + 0.51 * result.range / 255
    assert (np.abs(found - expected) <= 2 * bound).all()


@pytest.mark.parametrize("size", [(12, 15), (13, 16)])
def test_first_layer_in_8_bits_pads_at_a_stride_as_tensorflow_does(size: tuple[int, int]) -> None:
    weights = RANDOM.normal(0, 0.2, (3, 3, 3, 8)).astype(np.float32)
    variables = Constants({"small/conv1/weights": weights, "small/conv1/biases": BIASES[:8]})
    pixels = RANDOM.integers(0, 256, (*size, 3)).astype(np.uint8)
    prepared = pixels - np.float32(SMALL.preprocessing.mean_rgb)
    first = Convolution("conv1", 8, 3, stride=2)
    with tf.Graph().as_default():
        expected = run(VariableLayers(variables, "small").conv(tf.constant(prepared[None]), first))[0]
        known = Statistics(float(expected.max()), prepared.mean(axis=(0, 1)))
        result = QuantizedLayers(variables, SMALL, {"small/conv1": known}).conv(
            tf.compat.v1.placeholder_with_default(prepared[None], [1, None, None, 3]), first
        )
        found = run(tf.bitcast(result.values, tf.uint8))[0] * (result.range / 255)
    assert np.abs(found - expected).max() <= 0.02 * expected.max()


@pytest.mark.parametrize("product", [stock_product, fused_product])
def test_a_product_ends_at_6(product: object) -> None:
    rows, matrix = RANDOM.normal(0, 2, (5, 7)), RANDOM.normal(0, 2, (7, 4))
    biases = RANDOM.normal(0, 1, 4)
    with tf.Graph().as_default():
        values = (tf.constant(value, tf.float32) for value in (rows, matrix, biases))
        found = run(product(*values, "Relu6"))  # type: ignore[operator]
    np.testing.assert_allclose(found, np.clip(rows @ matrix + biases, 0, 6), atol=1e-5)
