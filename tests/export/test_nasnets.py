"""NASNets against NumPy and Keras' implementations with the same weights."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from slimserve.export.demo.constants import Constants
from slimserve.export.graph.kernels.portable import VariableLayers
from slimserve.export.graph.kernels.x86 import FusedLayers
from slimserve.export.networks import NETWORKS, Network
from slimserve.export.networks.pages.nasnet.cells import classifier
from slimserve.export.networks.pages.nasnet.nasnet_a import REDUCTION, nasnet_a
from slimserve.export.networks.rounding import tolerance
from slimserve.export.verify.reference.slim_reference import build_in_slim
from slimserve.export.weights.recipes import load_variables

from tests.support.keras_nasnets import KerasNASNet
from tests.support.paper_nasnets import NASNetA
from tests.support.slim_checkpoints import random_weights

CLASSES = 11
Weights = dict[str, np.ndarray]

# Channels of the first convolution and of the first cells, cells in a row, what the cell behind a reduction takes.
SMALL = {"stem": 6, "filters": 8, "repetitions": 1, "skips": False}
PUBLISHED = {
    "nasnet_mobile": {"stem": 32, "filters": 44, "repetitions": 4, "skips": False},
    "nasnet_large": {"stem": 96, "filters": 168, "repetitions": 6, "skips": True},
}
ODD, EVEN = (75, 102), (96, 64)


def small(**changed: int) -> Network:
    """NASNet-A with few channels and cells."""
    return classifier("small", 224, lambda images, build: nasnet_a(images, build, **(SMALL | changed)), ())


def image(height: int, width: int) -> np.ndarray:
    """Prepared: between -1 and 1."""
    return np.random.default_rng(0).uniform(-1, 1, (height, width, 3)).astype(np.float32)


def of_layers(
    network: Network, weights: Weights, pixels: np.ndarray, kind: type[VariableLayers] = VariableLayers
) -> np.ndarray:
    """Logits [C] of the exporter's page."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        layers = kind(Constants(weights), network.scope)
        logits = network.logits(tf.constant(pixels[None]), layers, "VALID", network.stride)
        return np.asarray(session.run(logits)[0, 0, 0])


def of_slim_layers(network: Network, weights: Weights, pixels: np.ndarray) -> np.ndarray:
    """Logits [C] of what an export is compared with."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        logits = build_in_slim(network, tf.constant(pixels[None]), CLASSES)
        variables = {variable.op.name: variable for variable in tf.compat.v1.global_variables()}
        assert variables.keys() == weights.keys()
        load_variables(variables, weights.items(), session)
        return np.asarray(session.run(logits)[0, 0, 0])


def assert_alike(network: Network, found: np.ndarray, expected: np.ndarray) -> None:
    assert np.abs(expected - expected.mean()).max() > 0.05 * np.abs(expected).max()
    assert np.abs(found - expected).max() <= tolerance(network, "float32") * np.abs(expected).max()


@pytest.mark.parametrize(("skips", "size"), [(False, ODD), (True, EVEN)])
def test_a_small_nasnet_is_that_of_its_figure(skips: bool, size: tuple[int, int]) -> None:
    network, pixels = small(skips=skips), image(*size)
    weights = random_weights(network, CLASSES)
    expected = NASNetA(weights)(pixels, 1, skips)
    assert_alike(network, of_layers(network, weights, pixels), expected)


def test_tensorflow_can_optimize_the_graph(capfd: pytest.CaptureFixture[str]) -> None:
    """Of the sums in the mobile one's stem, a pool and a ReLU take the same."""
    network = classifier(
        "stem", 224, lambda images, build: build.logits(build.stem(images, 32, REDUCTION, 44)[-1]), ()
    )
    of_layers(network, random_weights(network, CLASSES), image(97, 130))
    assert "remapper failed" not in capfd.readouterr().err


@pytest.mark.soak
@pytest.mark.parametrize(("skips", "size"), [(False, ODD), (True, EVEN)])
def test_a_small_nasnet_is_that_of_keras(skips: bool, size: tuple[int, int]) -> None:
    network, pixels = small(skips=skips), image(*size)
    weights = random_weights(network, CLASSES)
    keras = KerasNASNet(size, CLASSES, **(SMALL | {"skips": skips}))
    assert keras.shapes == {name: value.shape for name, value in weights.items()}
    expected = keras(weights, pixels)
    for kind in (VariableLayers, FusedLayers):
        assert_alike(network, of_layers(network, weights, pixels, kind), expected)
    assert_alike(network, of_slim_layers(network, weights, pixels), expected)


@pytest.mark.soak
@pytest.mark.parametrize("name", PUBLISHED)
def test_nasnets_are_those_of_keras(name: str) -> None:
    network = NETWORKS[name]
    weights = random_weights(network, CLASSES)
    for size in ((network.crop, network.crop), ODD):
        keras = KerasNASNet(size, CLASSES, **PUBLISHED[name])
        assert keras.shapes == {variable: value.shape for variable, value in weights.items()}
        assert_alike(network, of_layers(network, weights, image(*size)), keras(weights, image(*size)))


@pytest.mark.soak
def test_keras_own_pools_are_other_ones() -> None:
    """Else nothing would show that slim's are what the page has."""
    network, pixels = small(), image(*ODD)
    weights = random_weights(network, CLASSES)
    expected = KerasNASNet(ODD, CLASSES, **SMALL, as_slim=False)(weights, pixels)
    difference = np.abs(of_layers(network, weights, pixels) - expected).max()
    assert difference > 10 * tolerance(network, "float32") * np.abs(expected).max()
