"""The networks that tf-slim lacks, against implementations that share no code with the exporter.

Inception v4 is compared with NumPy, Inception-ResNet v2 with Keras; `test_fcn.py` compares the FCNs with NumPy.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from slimserve.export.demo.constants import Constants
from slimserve.export.graph.kernels.portable import VariableLayers
from slimserve.export.networks import NETWORKS, Network
from slimserve.export.networks.rounding import tolerance

from tests.support.paper_networks import InceptionV4
from tests.support.slim_checkpoints import random_weights

CLASSES = 11
Weights = dict[str, np.ndarray]


def image(side: int, seed: int = 0) -> np.ndarray:
    """Prepared: between -1 and 1."""
    return np.random.default_rng(seed).uniform(-1, 1, (side, side + 8, 3)).astype(np.float32)


def of_the_page(network: Network, weights: Weights, pixels: np.ndarray) -> np.ndarray:
    """Logits [C] of the exporter's page over its own layers."""
    layers = VariableLayers(Constants(weights), network.scope)
    run = tf.function(lambda images: network.logits(images, layers, "VALID", network.stride), autograph=False)
    return np.asarray(run(pixels[None])[0].numpy().mean(axis=(0, 1)))


def of_numpy(weights: Weights, pixels: np.ndarray) -> np.ndarray:
    return InceptionV4(weights)(pixels)


# Scopes of slim's Inception-ResNet v2 in the order in which Keras makes its layers; those that end a residual unit have
# names in Keras.
BLOCK_35 = (
    "Branch_0/Conv2d_1x1",
    "Branch_1/Conv2d_0a_1x1",
    "Branch_1/Conv2d_0b_3x3",
    "Branch_2/Conv2d_0a_1x1",
)
BLOCK_35 += ("Branch_2/Conv2d_0b_3x3", "Branch_2/Conv2d_0c_3x3")
BLOCK_17 = (
    "Branch_0/Conv2d_1x1",
    "Branch_1/Conv2d_0a_1x1",
    "Branch_1/Conv2d_0b_1x7",
    "Branch_1/Conv2d_0c_7x1",
)
BLOCK_8 = (
    "Branch_0/Conv2d_1x1",
    "Branch_1/Conv2d_0a_1x1",
    "Branch_1/Conv2d_0b_1x3",
    "Branch_1/Conv2d_0c_3x1",
)
MIXED_5B = (
    "Branch_0/Conv2d_1x1",
    "Branch_1/Conv2d_0a_1x1",
    "Branch_1/Conv2d_0b_5x5",
    "Branch_2/Conv2d_0a_1x1",
)
MIXED_5B += ("Branch_2/Conv2d_0b_3x3", "Branch_2/Conv2d_0c_3x3", "Branch_3/Conv2d_0b_1x1")
MIXED_6A = (
    "Branch_0/Conv2d_1a_3x3",
    "Branch_1/Conv2d_0a_1x1",
    "Branch_1/Conv2d_0b_3x3",
    "Branch_1/Conv2d_1a_3x3",
)
MIXED_7A = (
    "Branch_0/Conv2d_0a_1x1",
    "Branch_0/Conv2d_1a_3x3",
    "Branch_1/Conv2d_0a_1x1",
    "Branch_1/Conv2d_1a_3x3",
)
MIXED_7A += ("Branch_2/Conv2d_0a_1x1", "Branch_2/Conv2d_0b_3x3", "Branch_2/Conv2d_1a_3x3")
ORDER = (
    *(f"Conv2d_{name}" for name in ("1a_3x3", "2a_3x3", "2b_3x3", "3b_1x1", "4a_3x3")),
    *(f"Mixed_5b/{name}" for name in MIXED_5B),
    *(f"Repeat/block35_{number}/{name}" for number in range(1, 11) for name in BLOCK_35),
    *(f"Mixed_6a/{name}" for name in MIXED_6A),
    *(f"Repeat_1/block17_{number}/{name}" for number in range(1, 21) for name in BLOCK_17),
    *(f"Mixed_7a/{name}" for name in MIXED_7A),
    *(f"Repeat_2/block8_{number}/{name}" for number in range(1, 10) for name in BLOCK_8),
    *(f"Block8/{name}" for name in BLOCK_8),
)
ENDS = {
    **{f"block35_{number}_conv": f"Repeat/block35_{number}/Conv2d_1x1" for number in range(1, 11)},
    **{f"block17_{number}_conv": f"Repeat_1/block17_{number}/Conv2d_1x1" for number in range(1, 21)},
    **{f"block8_{number}_conv": f"Repeat_2/block8_{number}/Conv2d_1x1" for number in range(1, 10)},
    "block8_10_conv": "Block8/Conv2d_1x1",
}


def in_order(model: Any, kind: str) -> list[Any]:
    """Layers without a name of their own; Keras numbers those of a kind as it makes them."""
    found = {layer.name: layer for layer in model.layers if re.fullmatch(rf"{kind}(_\d+)?", layer.name)}
    return [found[name] for name in sorted(found, key=lambda name: int(name.removeprefix(kind)[1:] or 0))]


def of_keras(weights: Weights, pixels: np.ndarray) -> np.ndarray:
    """Logits [C] of `keras.applications.InceptionResNetV2`, weights carried over by name."""
    tf.keras.backend.clear_session()
    model = tf.keras.applications.InceptionResNetV2(
        weights=None, input_shape=pixels.shape, classes=CLASSES, classifier_activation=None
    )
    value = {name.removeprefix("InceptionResnetV2/"): array for name, array in weights.items()}
    convolutions, norms = in_order(model, "conv2d"), in_order(model, "batch_normalization")
    named = [*zip(ORDER, convolutions, norms, strict=True)]
    named.append(("Conv2d_7b_1x1", model.get_layer("conv_7b"), model.get_layer("conv_7b_bn")))
    for scope, convolution, norm in named:
        convolution.set_weights([value.pop(f"{scope}/weights")])
        statistics = ("beta", "moving_mean", "moving_variance")
        norm.set_weights([value.pop(f"{scope}/BatchNorm/{name}") for name in statistics])
    for layer, scope in {**ENDS, "predictions": "Logits/Logits"}.items():
        model.get_layer(layer).set_weights([value.pop(f"{scope}/{name}") for name in ("weights", "biases")])
    assert not value
    return np.asarray(model(pixels[None], training=False))[0]


REFERENCES: dict[str, Callable[[Weights, np.ndarray], np.ndarray]] = {
    "inception_v4": of_numpy,
    "inception_resnet_v2": of_keras,
}


def difference(name: str, side: int, change: Callable[[Network], Network] = lambda network: network) -> float:
    """Of the page, changed, and the reference, as a fraction of the largest logit."""
    network = NETWORKS[name]
    weights, pixels = random_weights(network, CLASSES), image(side)
    expected = REFERENCES[name](weights, pixels)
    ours = of_the_page(change(network), weights, pixels)
    spread = np.abs(expected - expected.mean()).max()
    assert np.isfinite(spread)
    assert spread > 0.05 * np.abs(expected).max()
    return float(np.abs(ours - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("inception_v4", 107),
        pytest.param("inception_v4", 299, marks=pytest.mark.soak),
        pytest.param("inception_resnet_v2", 107, marks=pytest.mark.soak),
        pytest.param("inception_resnet_v2", 299, marks=pytest.mark.soak),
    ],
)
def test_logits_are_those_of_an_implementation_that_shares_no_code(name: str, side: int) -> None:
    assert difference(name, side) <= tolerance(NETWORKS[name], "float32")


class OtherLayers:
    """The layers, with what one kind of them does changed."""

    def __init__(self, layers: Any, kind: str, change: Callable[[Any], Any]) -> None:
        self._layers, self._kind, self._change = layers, kind, change

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._layers, name)
        return self._change(method) if name == self._kind else method


def with_layers(kind: str, change: Callable[[Any], Any]) -> Callable[[Network], Network]:
    def changed(network: Network) -> Network:
        def logits(images: Any, layers: Any, *rest: Any) -> Any:
            return network.logits(images, OtherLayers(layers, kind, change), *rest)

        return replace(network, logits=logits)

    return changed


def scaled_by(factor: float) -> Callable[[Any], Any]:
    def change(add: Any) -> Any:
        return lambda net, residual, *, scale=1.0, relu=False: add(
            net, residual, scale=scale * factor, relu=relu
        )

    return change


def padded_pools(pool: Any) -> Any:
    return lambda net, kernel=2, *, stride=2, rate=1, padding="VALID": pool(
        net, kernel, stride=stride, rate=rate, padding="SAME"
    )[:, : (net.shape[1] - 3) // 2 + 1, : (net.shape[2] - 3) // 2 + 1]


MUTANTS = {
    ("inception_v4", "branches swapped"): with_layers(
        "concat", lambda concat: lambda nets: concat([*nets[:-2], *reversed(nets[-2:])])
    ),
    ("inception_v4", "padded pools"): with_layers("max_pool", padded_pools),
    ("inception_v4", "no mean around a position"): with_layers(
        "avg_pool", lambda pool: lambda net, kernel: net
    ),
    ("inception_resnet_v2", "residuals a tenth larger"): with_layers("add", scaled_by(1.1)),
}


@pytest.mark.soak
@pytest.mark.parametrize(("name", "mutant"), MUTANTS)
def test_a_wrong_description_is_found(name: str, mutant: str) -> None:
    assert difference(name, 107, MUTANTS[name, mutant]) > 10 * tolerance(NETWORKS[name], "float32")
