"""What NASNets are made of in every kind of layers, one at a time, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from slimserve.export.demo.constants import Constants
from slimserve.export.errors import ExportError
from slimserve.export.graph.kernels.int8 import QuantizedLayers
from slimserve.export.graph.kernels.portable import VariableLayers
from slimserve.export.graph.kernels.x86 import EmulatedLayers, FusedLayers
from slimserve.export.networks.layers import Convolution
from slimserve.export.weights.folding import BatchNorm, Separable

from tests.support.paper_nasnets import mean, windows
from tests.support.processor import NEEDS_BFLOAT16
from tests.support.small_network import SMALL

RANDOM = np.random.default_rng(21)
DEPTHWISE = RANDOM.normal(0, 0.3, (5, 5, 6, 1)).astype(np.float32)
POINTWISE = RANDOM.normal(0, 0.5, (1, 1, 6, 8)).astype(np.float32)
NORM = {
    "beta": RANDOM.normal(size=8),
    "gamma": RANDOM.normal(size=8),
    "moving_mean": RANDOM.normal(size=8),
    "moving_variance": RANDOM.uniform(0.5, 2, 8),
}
TENSORS = {"net/both/depthwise_weights": DEPTHWISE, "net/both/pointwise_weights": POINTWISE}
TENSORS |= {f"net/beside/{name}": value.astype(np.float32) for name, value in NORM.items()}
EPSILON = 0.01
SIZES = [(12, 15), (13, 16)]


def run(tensor: tf.Tensor) -> np.ndarray:
    with tf.compat.v1.Session(graph=tensor.graph) as session:
        return np.asarray(session.run(tf.cast(tensor, tf.float32)))[0]


def features(size: tuple[int, int], channels: int = 6) -> np.ndarray:
    return RANDOM.normal(0, 2, (*size, channels)).astype(np.float32)


def normalized(net: np.ndarray) -> np.ndarray:
    scale = NORM["gamma"] / np.sqrt(NORM["moving_variance"] + EPSILON)
    return np.asarray((net - NORM["moving_mean"]) * scale + NORM["beta"])


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize(("size", "stride"), [(SIZES[0], 2), (SIZES[1], 1)])
@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        *((kind, tf.float32) for kind in (VariableLayers, EmulatedLayers, FusedLayers)),
        *((kind, tf.bfloat16) for kind in (VariableLayers, EmulatedLayers)),
        pytest.param(FusedLayers, tf.bfloat16, marks=NEEDS_BFLOAT16),
    ],
)
def test_a_separable_convolution_has_two_steps(
    kind: type[VariableLayers], dtype: tf.DType, size: tuple[int, int], stride: int, relu: bool
) -> None:
    net = features(size)
    mixed = np.einsum("ijchw,hwc,co->ijo", windows(net, 5, stride), DEPTHWISE[..., 0], POINTWISE[0, 0])
    expected = np.maximum(normalized(mixed), 0) if relu else normalized(mixed)
    norm = BatchNorm(EPSILON, scaled=True)
    what = Convolution("both", 8, 5, stride, relu=relu, norm=norm, norm_scope="beside", stored=Separable(1))
    with tf.Graph().as_default():
        found = run(kind(Constants(TENSORS), "net", dtype).conv(tf.constant(net[None]), what))
    tolerance = 1e-5 if dtype == tf.float32 else 0.02
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


def test_the_two_steps_have_the_variables_of_one() -> None:
    asked = []

    class Asked(Constants):
        def get(self, name: str, *rest: object) -> tf.Tensor:
            asked.append(name)
            return super().get(name, *rest)  # type: ignore[arg-type]

    norm = BatchNorm(EPSILON, scaled=True)
    what = Convolution("both", 8, 5, norm=norm, norm_scope="beside", stored=Separable(1))
    with tf.Graph().as_default():
        VariableLayers(Asked(TENSORS), "net").conv(tf.constant(features((9, 9))[None]), what)
    assert asked == [
        f"net/both/{name}" for name in ("depthwise_weights", "depthwise_biases", "weights", "biases")
    ]


@pytest.mark.parametrize("size", SIZES)
def test_what_lies_beyond_the_border_is_no_part_of_a_mean(size: tuple[int, int]) -> None:
    net = features(size)
    with tf.Graph().as_default():
        found = run(VariableLayers(Constants({}), "net").avg_pool(tf.constant(net[None]), 3, stride=2))
    np.testing.assert_allclose(found, mean(net, 2), atol=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_a_shift_brings_odd_rows_and_columns_to_even_ones(size: tuple[int, int]) -> None:
    net = features(size)
    with tf.Graph().as_default():
        found = run(VariableLayers(Constants({}), "net").shift(tf.constant(net[None])))
    np.testing.assert_array_equal(found[:-1, :-1], net[1:, 1:])
    assert found.shape == net.shape
    assert not found[-1].any()
    assert not found[:, -1].any()


@pytest.mark.parametrize("relu", [True, False])
def test_a_normalization_without_a_convolution_may_be_without_relu(relu: bool) -> None:
    net = features((4, 5), 8)
    with tf.Graph().as_default():
        layers = VariableLayers(Constants(TENSORS), "net")
        found = run(layers.batch_norm(tf.constant(net[None]), "beside", BatchNorm(EPSILON, True), relu=relu))
    expected = np.maximum(normalized(net), 0) if relu else normalized(net)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_8_bits_have_no_relu_of_its_own_and_no_shift() -> None:
    layers = QuantizedLayers(Constants({}), SMALL, {})
    with pytest.raises(ExportError, match="ReLU without a convolution"):
        layers.relu(None)
    with pytest.raises(ExportError, match="branches"):
        layers.shift(None)
