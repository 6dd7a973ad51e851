"""Convolutions as products of matrices, in every precision, against NumPy in float64."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping

import numpy as np
import pytest
import tensorflow as tf
from slimserve.export.demo.constants import Constants
from slimserve.export.graph.kernels import products
from slimserve.export.graph.kernels.int8 import QuantizedLayers
from slimserve.export.graph.kernels.int8_nodes import Activations, quantized_product
from slimserve.export.graph.kernels.portable import VariableLayers, stock_product
from slimserve.export.graph.kernels.products import as_product
from slimserve.export.graph.kernels.x86 import (
    EmulatedLayers,
    FusedLayers,
    fused_batched_product,
    fused_product,
)
from slimserve.export.networks import NETWORKS, Network
from slimserve.export.networks.layers import Activation, Convolution
from slimserve.export.weights.quantization import LARGEST, LARGEST_SUM, Statistics, quantized
from slimserve.export.weights.recipes import ModelVariables

from tests.support.numpy_reference import float32_rounding
from tests.support.processor import NEEDS_BFLOAT16
from tests.support.small_network import SMALL
from tests.support.tensors import run

RANDOM = np.random.default_rng(3)
INPUTS, CHANNELS = 6, 16
BIASES = RANDOM.normal(0, 1, CHANNELS).astype(np.float32)
Product = Callable[[tf.Tensor, tf.Tensor, tf.Tensor, Activation | None], tf.Tensor]


def numpy_convolution(net: np.ndarray, weights: np.ndarray, rate: int, padding: str) -> np.ndarray:
    """[N, H, W, C] by [h, w, C, D], stride 1, in float64."""
    height, width = (side for side in weights.shape[:2])
    over = [(side - 1) * rate for side in (height, width)]
    if padding == "SAME":
        net = np.pad(net, [(0, 0), *((side // 2, side - side // 2) for side in over), (0, 0)])
    rows, columns = net.shape[1] - over[0], net.shape[2] - over[1]
    total = np.zeros((len(net), rows, columns, weights.shape[3]))
    for y in range(height):
        for x in range(width):
            part = net[:, y * rate : y * rate + rows, x * rate : x * rate + columns].astype(np.float64)
            total += part @ weights[y, x].astype(np.float64)
    return total


def convolved(
    net: np.ndarray, weights: np.ndarray, convolution: Convolution, product: Product, in_strips: bool
) -> np.ndarray:
    """What the graph makes of images whose size it does not know."""
    dtype = tf.as_dtype(net.dtype)
    with tf.Graph().as_default():
        images = tf.compat.v1.placeholder(dtype, [None, None, None, net.shape[-1]])
        matrix = tf.constant(weights.reshape(-1, weights.shape[-1]))
        biases = tf.constant(BIASES.astype(net.dtype))
        result = as_product(
            images,
            convolution,
            weights.shape[-1],
            lambda rows: product(rows, matrix, biases, convolution.activation),
            in_strips=in_strips,
        )
        assert result.shape[-1] == weights.shape[-1]
        return run(tf.cast(result, tf.float32), {images: net})


def fused_transposed_product(
    rows: tf.Tensor, matrix: tf.Tensor, biases: tf.Tensor, activation: Activation | None
) -> tf.Tensor:
    return fused_product(rows, tf.transpose(matrix), biases, activation, transposed=True)


def batched_product(
    rows: tf.Tensor, matrix: tf.Tensor, biases: tf.Tensor, activation: Activation | None
) -> tf.Tensor:
    return fused_batched_product(rows, tf.transpose(matrix), biases, activation)


PRODUCTS: list[Product] = [stock_product, fused_product, fused_transposed_product, batched_product]
GEOMETRIES = [
    (1, 1, "SAME"),
    (3, 1, "SAME"),
    (3, 1, "VALID"),
    (4, 1, "SAME"),
    (3, 2, "SAME"),
    (3, 2, "VALID"),
]


@pytest.mark.parametrize(("kernel", "rate", "padding"), GEOMETRIES)
@pytest.mark.parametrize("in_strips", [False, True])
@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("relu", [False, True])
def test_product_is_the_convolution(
    kernel: int,
    rate: int,
    padding: str,
    in_strips: bool,
    product: Product,
    relu: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(products, "_PATCHES_AT_ONCE", 1)  # a strip for each row
    net = RANDOM.normal(0, 1, (2, 7, 9, INPUTS)).astype(np.float32)
    weights = RANDOM.normal(0, 0.3, (kernel, kernel, INPUTS, CHANNELS)).astype(np.float32)
    convolution = Convolution("fc6", CHANNELS, kernel, rate=rate, padding=padding, relu=relu)
    expected = numpy_convolution(net, weights, rate, padding) + BIASES
    expected = np.maximum(expected, 0) if relu else expected
    found = convolved(net, weights, convolution, product, in_strips)
    # Sums of products of numbers: what rounds is as large as the sum of their magnitudes.
    magnitude = numpy_convolution(np.abs(net), np.abs(weights), rate, padding).max()
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 4 * float32_rounding([kernel**2 * INPUTS]) * magnitude


@pytest.mark.parametrize(
    "product",
    [
        product if product is stock_product else pytest.param(product, marks=NEEDS_BFLOAT16)
        for product in PRODUCTS
    ],
)
def test_product_in_bfloat16_adds_up_in_float32(product: Product) -> None:
    dtype = tf.bfloat16.as_numpy_dtype
    net = RANDOM.normal(0, 1, (1, 7, 9, 128)).astype(dtype)
    weights = RANDOM.normal(0, 0.1, (3, 3, 128, CHANNELS)).astype(dtype)
    convolution = Convolution("fc6", CHANNELS, 3)
    expected = numpy_convolution(net, weights, 1, "SAME") + BIASES.astype(dtype).astype(np.float64)
    found = convolved(net, weights, convolution, product, in_strips=True)
    unit = 2.0**-8  # what rounding to 8 significant bits may change, relative
    rounded = 2 if product is stock_product else 1  # stock ops round the product and the sum with the biases
    slack = rounded * unit * (np.abs(expected).max() + np.abs(BIASES).max())
    assert np.abs(found - np.maximum(expected, 0)).max() <= slack


def test_batched_product_ends_at_6() -> None:
    rows, matrix = RANDOM.normal(0, 2, (5, 7)), RANDOM.normal(0, 2, (7, 4))
    with tf.Graph().as_default():
        values = (tf.constant(value, tf.float32) for value in (rows, matrix, BIASES[:4]))
        found = run(batched_product(*values, "Relu6"), {})
    magnitude = (np.abs(rows) @ np.abs(matrix)).max() + np.abs(BIASES).max()
    difference = np.abs(found - np.clip(rows @ matrix + BIASES[:4], 0, 6))
    assert difference.max() <= 4 * float32_rounding([7]) * magnitude


@pytest.mark.parametrize("layers", [pytest.param(FusedLayers, marks=NEEDS_BFLOAT16), EmulatedLayers])
@pytest.mark.parametrize("size", [(3, 3), (3, 4), (7, 9)])  # one position, two, 35
@pytest.mark.parametrize("loops", [True, False])
def test_layer_in_bfloat16_is_the_convolution_at_one_position_and_at_many(
    layers: type[VariableLayers], size: tuple[int, int], loops: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "LARGE", 0)
    dtype = tf.bfloat16.as_numpy_dtype
    net = RANDOM.normal(0, 1, (1, *size, 128)).astype(dtype)
    weights, biases = RANDOM.normal(0, 0.1, (3, 3, 128, CHANNELS)).astype(dtype), BIASES.astype(dtype)
    expected = numpy_convolution(net, weights, 1, "VALID") + biases.astype(np.float64)
    constants = Constants(
        {"small/fc6/weights": weights.astype(np.float32), "small/fc6/biases": biases.astype(np.float32)}
    )
    with tf.Graph().as_default():
        images = tf.compat.v1.placeholder(dtype, [None, None, None, 128])
        built = layers(constants, "small", tf.bfloat16)
        built = built if loops else built.without_loops()
        result = built.conv(images, Convolution("fc6", CHANNELS, 3, padding="VALID"))
        found = run(tf.cast(result, tf.float32), {images: net})
    assert found.shape == expected.shape
    slack = 2.0**-8 * (np.abs(expected).max() + np.abs(biases.astype(np.float64)).max())
    assert np.abs(found - np.maximum(expected, 0)).max() <= slack


def test_strips_are_one_piece_bit_for_bit_in_8_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    net = RANDOM.integers(0, 256, (2, 11, 6, INPUTS)).astype(np.uint8)
    weights = quantized(RANDOM.normal(0, 1, (3, 3, INPUTS, CHANNELS)).astype(np.float32))
    ranges = RANDOM.uniform(0.5, 2, CHANNELS).astype(np.float32)
    expected = numpy_convolution(net, weights, 1, "SAME") * (2.0 / 255) * (ranges / 127) + BIASES
    expected = np.clip(np.rint(expected * 255 / 9.0), 0, 255)
    convolution = Convolution("fc6", CHANNELS, 3)

    def product(
        rows: tf.Tensor, matrix: tf.Tensor, biases: tf.Tensor, activation: Activation | None
    ) -> tf.Tensor:
        result = quantized_product(
            Activations(tf.bitcast(rows, tf.quint8), 2.0),
            tf.bitcast(tf.transpose(matrix), tf.qint8),
            tf.constant(ranges),
            tf.constant(BIASES),
            9.0,
        )
        return tf.bitcast(result.values, tf.uint8)

    whole = convolved(net, weights, convolution, product, in_strips=False)
    monkeypatch.setattr(products, "_PATCHES_AT_ONCE", 3 * 9 * INPUTS * 12)  # three rows of two images
    strips = convolved(net, weights, convolution, product, in_strips=True)
    difference = np.abs(whole - expected)
    assert (strips == whole).all()
    assert difference.max() <= 1  # float32 may round a tie to the other side
    assert np.count_nonzero(difference) <= difference.size // 100
    assert 0 < np.count_nonzero(expected == 0) < expected.size


@pytest.mark.parametrize("rows", [1, 5, 64])
@pytest.mark.parametrize("inputs", [64, 65, 25088])
def test_largest_product_does_not_saturate(rows: int, inputs: int) -> None:
    first = RANDOM.integers(1, LARGEST + 1, (8, inputs))
    first[:, 1::2] = LARGEST_SUM - first[:, 0 : inputs // 2 * 2 : 2]
    matrix = (first * np.tile([1, -1], 4)[:, None]).astype(np.int8)
    sums = matrix.sum(axis=1, dtype=np.int64) * 255
    with tf.Graph().as_default():
        result = quantized_product(
            Activations(tf.bitcast(tf.fill([rows, inputs], np.uint8(255)), tf.quint8), 255.0),
            tf.bitcast(tf.constant(matrix), tf.qint8),
            tf.fill([8], np.float32(LARGEST)),
            tf.constant(100 - sums, tf.float32),
            255.0,
        )
        found = run(tf.bitcast(result.values, tf.uint8), {})
    # A bias of this size is rounded to float32 itself.
    assert np.abs(found.astype(int) - 100).max() <= np.spacing(np.float32(np.abs(sums).max()))


def kept_filters(network: Network, layers: Callable[[ModelVariables], VariableLayers]) -> list[int]:
    """Bytes of the filters that oneDNN's nodes keep once a signature, of 1000 classes."""
    shapes = {
        name: tuple(1000 if size is None else size for size in shape)
        for name, shape in network.expected_variables().items()
    }
    with tf.Graph().as_default() as graph:
        images = tf.compat.v1.placeholder(tf.float32, [None, None, None, 3])
        network.logits(images, layers(ModelVariables(shapes)), "SAME", network.stride)
        operations = graph.get_operations()
    assert not any(operation.type == "Conv2D" for operation in operations)
    kept = [operation for operation in operations if "is_filter_const" in operation.node_def.attr]
    return [operation.inputs[1].shape.num_elements() * operation.inputs[1].dtype.size for operation in kept]


def test_layer_in_8_bits_is_the_convolution_in_strips_within_a_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "LARGE", 0)
    monkeypatch.setattr(products, "_PATCHES_AT_ONCE", 1)
    net = RANDOM.integers(0, 256, (1, 8, 9, INPUTS)).astype(np.uint8)
    weights = RANDOM.normal(0, 1, (3, 3, INPUTS, CHANNELS)).astype(np.float32)
    expected = np.maximum(numpy_convolution(net, weights, 1, "SAME") + BIASES, 0)
    constants = Constants({"small/fc6/weights": weights, "small/fc6/biases": BIASES})
    known = Statistics(float(expected.max()), net.mean(axis=(0, 1, 2)))

    def body(values: tf.Tensor) -> tf.Tensor:
        activations = Activations(tf.bitcast(values, tf.quint8), 255.0)
        result = layers.conv(activations, Convolution("fc6", CHANNELS, 3))
        return tf.bitcast(result.values, tf.uint8)

    with tf.Graph().as_default():
        layers = QuantizedLayers(constants, SMALL, {"small/fc6": known})
        images = tf.compat.v1.placeholder(tf.uint8, [None, None, None, INPUTS])
        results = tf.map_fn(lambda image: body(image[None])[0], images)
        found = run(results, {images: net}) * (known.range / 255)
    assert np.abs(found - expected).max() <= 0.02 * expected.max()


LARGEST_KEPT = 4 * 2**22  # bytes


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("vgg_16", 60e6),
        ("alexnet_v2", 13e6),
        ("overfeat", 7e6),
        ("resnet_v1_50", 65e6),
        ("inception_v3", 88e6),
    ],
)
def test_no_signature_keeps_a_large_filter(name: str, most: float) -> None:
    """So no size that was seen first can make a fully connected layer slower, and memory does not grow by them."""
    network = NETWORKS[name]
    kept = kept_filters(network, lambda variables: FusedLayers(variables, network.scope))
    assert max(kept) < LARGEST_KEPT
    assert sum(kept) < most


def test_no_signature_keeps_a_large_filter_in_8_bits() -> None:
    network = NETWORKS["vgg_16"]
    unknown: Mapping[str, Statistics] = defaultdict(lambda: Statistics(1.0, np.zeros(1)))
    kept = kept_filters(network, lambda variables: QuantizedLayers(variables, network, unknown))
    assert max(kept) < LARGEST_KEPT / 4
    assert sum(kept) < 15e6
