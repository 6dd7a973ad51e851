"""MobileNets of every width: variables, logits and strides, against Keras' implementations with the same weights."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import tensorflow as tf
from slimserve.export.demo.constants import Constants
from slimserve.export.graph.kernels.int8 import QuantizedLayers
from slimserve.export.graph.kernels.portable import VariableLayers
from slimserve.export.graph.kernels.x86 import EmulatedLayers, FusedLayers
from slimserve.export.networks import NETWORKS, Network
from slimserve.export.networks.rounding import tolerance
from slimserve.export.verify.calibration import RecordingLayers, statistics
from slimserve.export.verify.reference.slim_reference import build_in_slim
from slimserve.export.weights.recipes import load_variables

from tests.support.keras_mobilenets import KerasMobileNet
from tests.support.slim_checkpoints import random_values

CLASSES = 11
WIDTHS = {
    "mobilenet_v1": (0.25, 0.5, 0.75, 1.0),
    "mobilenet_v2": (0.35, 0.5, 0.75, 1.0, 1.3, 1.4),
}
# The last convolution of version 2 grows above a width of 1 and does not shrink below it.
QUICK = (("mobilenet_v1", 0.25), ("mobilenet_v2", 0.35), ("mobilenet_v2", 1.4))
# Version 2 on sides of any parity, for there Keras pads as slim does.
SIZES = {"mobilenet_v1": ((96, 64), (32, 160)), "mobilenet_v2": ((96, 64), (75, 101))}


@cache
def keras(name: str, width: float, size: tuple[int, int]) -> KerasMobileNet:
    return KerasMobileNet(name, width, size, CLASSES)


def of_width(name: str, width: float) -> tuple[Network, dict[str, np.ndarray]]:
    """The network that the exporter makes of Keras' shapes, and weights for both."""
    network = NETWORKS[name]
    shapes = keras(name, width, SIZES[name][0]).shapes
    rng = np.random.Generator(np.random.SFC64(4))
    values = {variable: random_values(variable, shape, network, rng) for variable, shape in shapes.items()}
    assert network.as_stored
    below = {variable.removeprefix(f"{network.scope}/"): shape for variable, shape in shapes.items()}
    return network.as_stored(below), values


def image(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Prepared: between -1 and 1."""
    return np.random.default_rng(seed).uniform(-1, 1, (height, width, 3)).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "width"),
    [
        pytest.param(name, width, marks=() if (name, width) in QUICK else pytest.mark.soak)
        for name in WIDTHS
        for width in WIDTHS[name]
    ],
)
def test_variables_are_those_of_the_width(name: str, width: float) -> None:
    network, values = of_width(name, width)
    found = {
        variable: tuple(CLASSES if size is None else size for size in shape)
        for variable, shape in network.expected_variables().items()
    }
    assert found == {variable: value.shape for variable, value in values.items()}


@pytest.mark.soak
def test_a_network_as_it_is_has_a_width_of_1() -> None:
    for name in WIDTHS:
        assert NETWORKS[name].expected_variables() == of_width(name, 1.0)[0].expected_variables()


@pytest.mark.parametrize("of_slim", [False, True], ids=["portable", "slim"])
@pytest.mark.parametrize(("name", "size"), [(name, size) for name in SIZES for size in SIZES[name]])
def test_logits_are_those_of_keras(name: str, size: tuple[int, int], of_slim: bool) -> None:
    width = WIDTHS[name][0]
    network, values = of_width(name, width)
    expected = keras(name, width, size)(values, image(*size))
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        if of_slim:
            cells = build_in_slim(network, tf.constant(image(*size)[None]), CLASSES)
            variables = {variable.op.name: variable for variable in tf.compat.v1.global_variables()}
            assert variables.keys() == values.keys()
            load_variables(variables, values.items(), session)
        else:
            layers = VariableLayers(Constants(values), network.scope)
            cells = network.logits(tf.constant(image(*size)[None]), layers, "VALID", 32)
        found = session.run(cells)[0].mean(axis=(0, 1))
    assert np.abs(expected - expected.mean()).max() > 0.05 * np.abs(expected).max()
    assert np.abs(found - expected).max() <= tolerance(network, "float32") * np.abs(expected).max()


@pytest.mark.parametrize("kind", [VariableLayers, FusedLayers])
@pytest.mark.parametrize("output_stride", [16, 8])
@pytest.mark.parametrize("name", WIDTHS)
def test_cells_at_multiples_of_32_pixels_are_those_of_the_network(
    name: str, output_stride: int, kind: type[VariableLayers]
) -> None:
    network, values = of_width(name, WIDTHS[name][0])
    pixels = image(129, 97)[None]
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        layers = kind(Constants(values), network.scope)
        own, finer = session.run(
            [network.logits(tf.constant(pixels), layers, "SAME", stride) for stride in (32, output_stride)]
        )
    step = 32 // output_stride
    assert own.shape[1:3] == (5, 4)
    assert finer.shape[1:3] == (4 * step + 1, 3 * step + 1)
    assert np.abs(finer[:, ::step, ::step] - own).max() <= tolerance(network, "float32") * np.abs(own).max()


@pytest.mark.parametrize("kind", ["bfloat16", "x86_bfloat16", "int8"])
def test_lower_precisions_are_near(kind: str) -> None:
    network, values = of_width("mobilenet_v1", 0.25)
    pixels = np.round(image(97, 129)[None] * 127.5 + 127.5) / np.float32(127.5) - np.float32(1)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        recording = RecordingLayers(Constants(values), network.scope)
        exact = network.logits(tf.constant(pixels), recording, "SAME", 16)
        expected, recorded = session.run([exact, recording.recorded])
        known = {scope: statistics(counted, 100) for scope, counted in recorded.items()}
        layers = {
            "bfloat16": VariableLayers(Constants(values), network.scope, tf.bfloat16),
            "x86_bfloat16": EmulatedLayers(Constants(values), network.scope, tf.bfloat16),
            "int8": QuantizedLayers(Constants(values), network, known),
        }[kind]
        found = session.run(tf.cast(network.logits(tf.constant(pixels), layers, "SAME", 16), tf.float32))
    spread = expected - expected.mean()
    assert np.linalg.norm(found - expected) <= 0.04 * np.linalg.norm(spread)
