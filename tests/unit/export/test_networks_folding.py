"""What a checkpoint stores of a convolution amounts to one filter and biases, in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from slimserve.export.graph.kernels.portable import VariableLayers
from slimserve.export.networks.layers import Convolution
from slimserve.export.weights.folding import BatchNorm, Depthwise, Matrix, Separable
from slimserve.export.weights.recipes import Recipe

from tests.support.numpy_reference import convolve

RANDOM = np.random.default_rng(5)
IMAGE = RANDOM.normal(size=(9, 8, 3)).astype(np.float32)


def statistics(channels: int, scaled: bool) -> dict[str, np.ndarray]:
    values = {
        "beta": RANDOM.normal(size=channels),
        "gamma": RANDOM.normal(size=channels),
        "moving_mean": RANDOM.normal(size=channels),
        "moving_variance": RANDOM.uniform(0.001, 3, channels),
    }
    return {name: value.astype(np.float32) for name, value in values.items() if scaled or name != "gamma"}


class Tensors:
    """A checkpoint's tensors at hand."""

    def __init__(self, tensors: dict[str, np.ndarray]) -> None:
        self.tensors = tensors

    def copy_of(self, tensor: str) -> Recipe:
        return Recipe(self.tensors[tensor].shape, (tensor,), np.asarray)

    def get(self, name: str, recipe: Recipe, dtype: object = None) -> np.ndarray:
        return recipe.make(*(self.tensors[source] for source in recipe.sources))


def test_a_separable_convolution_is_one_filter() -> None:
    depthwise = RANDOM.normal(size=(3, 3, 3, 2)).astype(np.float32)
    pointwise = RANDOM.normal(size=(1, 1, 6, 4)).astype(np.float32)
    apart = [
        convolve(IMAGE[..., [channel]], depthwise[:, :, [channel]], np.zeros(2, np.float32), 0)
        for channel in range(3)
    ]
    expected = np.concatenate(apart, axis=-1) @ pointwise[0, 0]
    stored = Separable(2)
    composed = stored.filter(depthwise, pointwise)
    assert composed.shape == stored.shape(depthwise.shape, pointwise.shape) == (3, 3, 3, 4)
    np.testing.assert_allclose(
        convolve(IMAGE, composed, np.zeros(4, np.float32), 0), expected, rtol=1e-4, atol=1e-5
    )


def test_a_fully_connected_layers_matrix_is_a_filter_of_one_position() -> None:
    matrix = RANDOM.normal(size=(3, 4)).astype(np.float32)
    np.testing.assert_allclose(
        convolve(IMAGE, Matrix().filter(matrix), np.zeros(4, np.float32), 0),
        IMAGE @ matrix,
        rtol=1e-4,
        atol=1e-6,
    )


@pytest.mark.parametrize("scaled", [False, True])
def test_batch_normalization_is_folded_into_filter_and_biases(scaled: bool) -> None:
    norm = BatchNorm(epsilon=0.01, scaled=scaled)
    weights = RANDOM.normal(size=(3, 3, 3, 4)).astype(np.float32)
    values = statistics(4, scaled)
    tensors = {"net/layer/weights": weights} | {
        f"net/layer/BatchNorm/{name}": value for name, value in values.items()
    }
    stock = Tensors(tensors)
    recipes = VariableLayers(stock, "net").filter_and_biases(Convolution("layer", 4, 3, norm=norm))
    folded, biases = (stock.get("", recipe) for recipe in recipes)
    plain = convolve(IMAGE, weights, np.zeros(4, np.float32), 0).astype(np.float64)
    normalized = (plain - values["moving_mean"]) / np.sqrt(values["moving_variance"] + 0.01)
    expected = normalized * values.get("gamma", 1) + values["beta"]
    assert (folded.dtype, biases.dtype, recipes[0].shape) == (np.float32, np.float32, weights.shape)
    np.testing.assert_allclose(convolve(IMAGE, folded, biases, 0), expected, rtol=1e-4, atol=1e-4)


def test_batch_normalization_is_folded_into_a_filter_of_each_channel() -> None:
    norm = BatchNorm(epsilon=0.01, scaled=True)
    weights = RANDOM.normal(size=(3, 3, 3, 1)).astype(np.float32)
    values = statistics(3, scaled=True)
    stock = Tensors(
        {"net/layer/depthwise_weights": weights}
        | {f"net/layer/BatchNorm/{name}": value for name, value in values.items()}
    )
    convolution = Convolution("layer", 3, 3, norm=norm, stored=Depthwise())
    recipes = VariableLayers(stock, "net").filter_and_biases(convolution)
    folded, biases = (stock.get("", recipe) for recipe in recipes)
    assert folded.shape == recipes[0].shape == weights.shape
    for channel in range(3):
        alone = IMAGE[..., [channel]]
        plain = convolve(alone, weights[:, :, [channel]], np.zeros(1, np.float32), 0).astype(np.float64)
        normalized = (plain - values["moving_mean"][channel]) / np.sqrt(
            values["moving_variance"][channel] + 0.01
        )
        expected = normalized * values["gamma"][channel] + values["beta"][channel]
        found = convolve(alone, folded[:, :, [channel]], biases[[channel]], 0)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
