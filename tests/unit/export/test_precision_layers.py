"""Convolutions of --target x86 and of --precision bfloat16 and int8, one at a time, against NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from slimserve.export.demo.constants import Constants
from slimserve.export.errors import ExportError
from slimserve.export.graph.kernels import choice
from slimserve.export.graph.kernels import x86 as fused_layers
from slimserve.export.graph.kernels.choice import Obstacle, obstacle
from slimserve.export.graph.kernels.int8 import QuantizedLayers
from slimserve.export.graph.kernels.int8_nodes import Activations, quantized_convolution
from slimserve.export.graph.kernels.portable import VariableLayers
from slimserve.export.graph.kernels.x86 import FusedLayers, fused_convolution
from slimserve.export.networks.layers import Convolution
from slimserve.export.plan.options import GraphOptions
from slimserve.export.verify.calibration import Recorded, RecordingLayers, statistics
from slimserve.export.weights.quantization import (
    LARGEST,
    LARGEST_SUM,
    Statistics,
    dequantized,
    filter_range,
    quantized,
    rounding_error,
)

from tests.support.processor import has_bfloat16
from tests.support.small_network import SMALL
from tests.support.tensors import run

RANDOM = np.random.default_rng(11)
FILTER = RANDOM.normal(0, 0.2, (3, 3, 3, 8)).astype(np.float32)
BIASES = RANDOM.normal(0, 1, 8).astype(np.float32)


VARIABLES = Constants({"small/conv1/weights": FILTER, "small/conv1/biases": BIASES})


def convolve(net: np.ndarray, weights: np.ndarray, stride: int = 1, rate: int = 1) -> np.ndarray:
    """[H, W, C] by [h, w, C, D], without padding, in float64."""
    height, width = ((side - 1) * rate + 1 for side in weights.shape[:2])
    windows = np.lib.stride_tricks.sliding_window_view(net.astype(np.float64), (height, width), (0, 1))
    return np.einsum("ijchw,hwcd->ijd", windows[::stride, ::stride, :, ::rate, ::rate], weights)


def same(net: np.ndarray) -> np.ndarray:
    """Padded as "SAME" pads it for 3x3."""
    return np.pad(net, [(1, 1), (1, 1), (0, 0)])


@pytest.mark.parametrize(("stride", "rate"), [(1, 1), (2, 1), (1, 2)])
@pytest.mark.parametrize("relu", [True, False])
def test_fused_convolution_is_that_of_numpy(stride: int, rate: int, relu: bool) -> None:
    net = RANDOM.normal(0, 1, (13, 17, 3)).astype(np.float32)
    with tf.Graph().as_default():
        convolution = Convolution("conv1", 8, 3, stride, rate, "VALID", relu)
        found = run(fused_convolution(*map(tf.constant, (net[None], FILTER, BIASES)), convolution))[0]
    expected = convolve(net, FILTER, stride, rate) + BIASES
    np.testing.assert_allclose(found, np.maximum(expected, 0) if relu else expected, atol=1e-5)


def test_fused_convolution_is_the_node_that_the_runtime_makes() -> None:
    with tf.Graph().as_default() as graph:
        layers = FusedLayers(VARIABLES, "small", tf.bfloat16)
        net = layers.conv(tf.zeros([1, 9, 9, 3]), Convolution("conv1", 8, 3))
        (node,) = [node for node in graph.as_graph_def().node if "Conv" in node.op]
    attributes = {
        name: value.ListFields()[0][1] if value.ListFields() else None for name, value in node.attr.items()
    }
    assert node.op == "_MklNativeFusedConv2D"
    assert net.dtype == tf.bfloat16
    assert attributes["_kernel"] == b"MklNameChangeOp"
    assert attributes["filter_format"] == b"HWIO"
    assert attributes["T"] == tf.bfloat16.as_datatype_enum
    assert list(attributes["fused_ops"].s) == [b"BiasAdd", b"Relu"]
    assert (attributes["is_filter_const"], attributes["num_args"]) == (True, 1)


def test_only_the_processor_decides_on_bfloat16() -> None:
    expected = None if has_bfloat16() else Obstacle.PROCESSOR
    assert obstacle(GraphOptions(target="x86", precision="bfloat16")) == expected


def test_a_processor_without_bfloat16_is_not_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorFlow 2.18 ends the process there."""
    (flags := tmp_path / "cpuinfo").write_text("flags : sse4_2 avx avx2 fma\n")
    monkeypatch.setattr(choice, "_PROCESSOR", flags)
    tried, node = [], fused_layers.node

    def noted(op: str, inputs: Sequence[tf.Tensor], *rest: Any, **attributes: Any) -> Any:
        tried.append(inputs[0].dtype)
        return node(op, inputs, *rest, **attributes)

    monkeypatch.setattr(fused_layers, "node", noted)
    assert obstacle(GraphOptions(target="x86", precision="bfloat16")) is Obstacle.PROCESSOR
    assert set(tried) == {tf.float32}


def test_kernels_that_tensorflow_does_not_know_are_an_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    node = fused_layers.node
    monkeypatch.setattr(
        fused_layers,
        "node",
        lambda op, *arguments, **attributes: node(f"{op}OfArm", *arguments, **attributes),
    )
    assert obstacle(GraphOptions(target="x86")) is Obstacle.KERNELS


def test_filter_of_8_bits_is_the_nearest_of_its_channel() -> None:
    weights = RANDOM.normal(0, 1, (3, 3, 5, 6)).astype(np.float32) * np.float32([1e-3, 1, 50, 0, 7, 1])
    weights[0, 0, 4, 5] = 5  # alone, it sets the scale
    steps = filter_range(weights) / 127
    integers = quantized(weights)
    assert integers.dtype == np.int8
    assert (np.abs(integers * steps - weights) <= steps * 0.5001).all()
    largest = np.abs(integers.astype(int)).max(axis=(0, 1, 2))
    sums = np.abs(integers[:, :, 0:4:2].astype(int) + integers[:, :, 1:4:2]).max(axis=(0, 1, 2))
    assert largest.max() == largest[5] == LARGEST
    assert ((sums == LARGEST_SUM) | (largest == LARGEST) | (largest == 0)).all()


def test_rounding_error_is_that_of_the_window() -> None:
    expected = (dequantized(FILTER).astype(np.float64) - FILTER).sum(axis=(0, 1))
    np.testing.assert_allclose(rounding_error(FILTER), expected, atol=1e-7)


def largest_filter(kernel: int, inputs: int) -> np.ndarray:
    """int8 [kernel, kernel, inputs, 8]: what is multiplied at once adds up to the most that a filter may hold."""
    first = RANDOM.integers(1, LARGEST + 1, (kernel, kernel, inputs, 8))
    first[:, :, 1::2] = LARGEST_SUM - first[:, :, 0 : inputs // 2 * 2 : 2]
    if inputs % 2:
        first[:, :, -1] = LARGEST
    return (first * np.tile([1, -1], 4)).astype(np.int8)


@pytest.mark.parametrize(
    ("kernel", "inputs", "rate"),
    [(3, 3, 1), (3, 5, 1), (3, 64, 1), (3, 64, 2), (7, 16, 1), (7, 16, 2), (1, 128, 1), (11, 3, 1)],
)
def test_largest_filters_on_largest_activations_do_not_saturate(kernel: int, inputs: int, rate: int) -> None:
    weights = largest_filter(kernel, inputs)
    assert (quantized(weights.astype(np.float32)) == weights).all()
    sums = weights.sum(axis=(0, 1, 2), dtype=np.int64) * 255
    side = (kernel - 1) * rate + 4
    with tf.Graph().as_default():
        result = quantized_convolution(
            Activations(tf.bitcast(tf.fill([1, side, side, inputs], np.uint8(255)), tf.quint8), 255.0),
            tf.bitcast(tf.constant(weights), tf.qint8),
            tf.fill([8], np.float32(LARGEST)),
            tf.constant(100 - sums, tf.float32),
            Convolution("largest", 8, kernel, rate=rate, padding="VALID"),
            255.0,
        )
        found = run(tf.bitcast(result.values, tf.uint8))
    assert (found == 100).all()


def integer_reference(
    net: np.ndarray, weights: np.ndarray, ranges: np.ndarray, range_in: float, range_out: float
) -> np.ndarray:
    sums = convolve(same(net), weights)
    values = sums * (range_in / 255) * (ranges / 127) + BIASES[: len(ranges)]
    return np.clip(np.rint(values * 255 / range_out), 0, 255)


@pytest.mark.parametrize("channels", [3, 16, 64])
def test_quantized_convolution_is_that_of_integers(channels: int) -> None:
    net = RANDOM.integers(0, 256, (6, 7, channels))
    weights = quantized(RANDOM.normal(0, 1, (3, 3, channels, 8)).astype(np.float32))
    ranges = RANDOM.uniform(0.5, 2, 8).astype(np.float32)
    range_out = channels * 1.5
    with tf.Graph().as_default():
        activations = Activations(tf.bitcast(tf.constant(net[None], tf.uint8), tf.quint8), 2.0)
        filter_values = tf.bitcast(tf.constant(weights, tf.int8), tf.qint8)
        result = quantized_convolution(
            activations,
            filter_values,
            tf.constant(ranges),
            tf.constant(BIASES),
            Convolution("conv1", 8, 3),
            range_out,
        )
        found = run(tf.bitcast(result.values, tf.uint8))[0]
    expected = integer_reference(net, weights, ranges, 2.0, range_out)
    difference = np.abs(found - expected)
    assert result.range == range_out
    assert difference.max() <= 1  # float32 may round a tie to the other side
    assert np.count_nonzero(difference) <= difference.size // 100
    assert 0 < np.count_nonzero(expected == 0) < expected.size


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_first_convolution_takes_the_pixels_and_knows_the_mean(padding: str) -> None:
    pixels = RANDOM.integers(0, 256, (12, 15, 3)).astype(np.uint8)
    prepared = pixels - np.float32(SMALL.preprocessing.mean_rgb)
    net = same(prepared) if padding == "SAME" else prepared
    expected = np.maximum(convolve(net, FILTER) + BIASES, 0)
    with tf.Graph().as_default():
        known = Statistics(float(expected.max()), prepared.mean(axis=(0, 1)))
        layers = QuantizedLayers(VARIABLES, SMALL, {"small/conv1": known})
        result = layers.conv(tf.constant(prepared[None]), Convolution("conv1", 8, 3, padding=padding))
        found = run(tf.bitcast(result.values, tf.uint8))[0] * (result.range / 255)
    assert np.abs(found - expected).max() <= 0.02 * expected.max()


def test_biases_make_up_for_what_rounding_the_filter_shifts() -> None:
    filter_values = RANDOM.normal(0, 1, (3, 3, 16, 8)).astype(np.float32)
    net = RANDOM.integers(0, 256, (40, 40, 16)).astype(np.uint8)
    biases = np.full(8, 6000, np.float32)  # ReLU cuts nothing
    expected = convolve(net, filter_values) + biases
    inputs = net.mean(axis=(0, 1))
    variables = Constants({"small/conv2/weights": filter_values, "small/conv2/biases": biases})
    with tf.Graph().as_default():
        layers = QuantizedLayers(variables, SMALL, {"small/conv2": Statistics(float(expected.max()), inputs)})
        activations = Activations(tf.bitcast(tf.constant(net[None]), tf.quint8), 255.0)
        result = layers.conv(activations, Convolution("conv2", 8, 3, padding="VALID"))
        found = run(tf.bitcast(result.values, tf.uint8))[0] * (result.range / 255)
    shift = np.abs((found - expected).mean(axis=(0, 1)))
    assert shift.max() <= 0.1 * np.abs(inputs @ rounding_error(filter_values)).max()


@pytest.mark.parametrize(("kernel", "stride", "rate"), [(2, 2, 1), (3, 2, 1), (2, 1, 1), (2, 1, 2)])
def test_quantized_pool_is_the_maximum(kernel: int, stride: int, rate: int) -> None:
    values = RANDOM.integers(0, 256, (9, 11, 16)).astype(np.uint8)
    with tf.Graph().as_default():
        layers = QuantizedLayers(VARIABLES, SMALL, {})
        activations = Activations(tf.bitcast(tf.constant(values[None]), tf.quint8), 3.0)
        pooled = layers.max_pool(activations, kernel, stride=stride, rate=rate)
        found = run(tf.bitcast(pooled.values, tf.uint8))[0]
    side = (kernel - 1) * rate + 1
    windows = np.lib.stride_tricks.sliding_window_view(values, (side, side), (0, 1))
    assert (found == windows[::stride, ::stride, :, ::rate, ::rate].max(axis=(-2, -1))).all()
    assert pooled.range == 3.0


def test_network_with_other_layers_is_refused_by_name() -> None:
    with tf.Graph().as_default():
        layers = QuantizedLayers(VARIABLES, SMALL, {})
        activations = Activations(tf.bitcast(tf.zeros([1, 4, 4, 8], tf.uint8), tf.quint8), 1.0)
        with pytest.raises(ExportError, match="this one has residual blocks: choose --precision bfloat16"):
            layers.add(activations, activations)


@pytest.fixture(scope="module")
def recorded() -> tuple[np.ndarray, np.ndarray, Recorded]:
    """What a convolution takes and returns, and what is recorded of it in two runs on the same."""
    net = RANDOM.exponential(30, (1, 60, 70, 3)).astype(np.float32)
    with tf.Graph().as_default():
        layers = RecordingLayers(VARIABLES, "small")
        activations = layers.conv(tf.constant(net), Convolution("conv1", 8, 3))
        with tf.compat.v1.Session() as session:
            values, once = session.run([activations, layers.recorded["small/conv1"]])
    return net, values, once.plus(once)


@pytest.mark.parametrize("percent", [50.0, 99.0, 99.99, 100.0])
def test_range_is_the_percentile_of_numpy_but_for_the_width_of_a_bin(
    recorded: tuple[np.ndarray, np.ndarray, Recorded], percent: float
) -> None:
    _, values, counted = recorded
    assert counted.histogram.sum() == 2 * values.size
    exact = float(np.percentile(values, percent, method="inverted_cdf"))
    found = statistics(counted, percent).range
    assert found == pytest.approx(exact, rel=0.023, abs=1e-6)
    assert found >= exact * (1 - 1e-6)


def test_mean_of_the_inputs_is_that_of_numpy(recorded: tuple[np.ndarray, np.ndarray, Recorded]) -> None:
    net, _, counted = recorded
    np.testing.assert_allclose(statistics(counted, 99).inputs, net.mean(axis=(0, 1, 2)), rtol=1e-5)


def test_stock_layers_in_bfloat16_compute_in_it() -> None:
    with tf.Graph().as_default() as graph:
        net = VariableLayers(VARIABLES, "small", tf.bfloat16).conv(
            tf.zeros([1, 9, 9, 3]), Convolution("conv1", 8, 3)
        )
        operations = {node.op for node in graph.as_graph_def().node}
    assert net.dtype == tf.bfloat16
    assert {"Conv2D", "BiasAdd", "Relu"} <= operations
