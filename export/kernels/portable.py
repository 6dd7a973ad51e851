"""A network's layers over variables that a SavedModel holds."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from ..networks.network import Kernel, Padding, Tensor
from ..weights.folding import PLAIN_FILTER, Array, BatchNorm, StoredFilter
from ..weights.recipes import Recipe, Variables
from .finer_cells import FinerCells
from .padding import fixed_padding


class Convolution(NamedTuple):
    """How a filter is applied; see `Layers.conv`."""

    stride: int
    rate: int
    padding: Padding
    relu: bool


class VariableLayers(FinerCells):
    """Layers of stock TensorFlow ops, portable to every build of TensorFlow Serving.

    They work in the dtype that is stored: a bfloat16 filter that is cast to float32 on every call takes longer.
    """

    def __init__(self, variables: Variables, scope: str, stored: tf.DType = tf.float32) -> None:
        """Make filters and biases, stored as `stored`, of the checkpoint's tensors below `scope`."""
        self._variables = variables
        self._scope = scope
        self._stored = stored

    def filter_and_biases(
        self, scope: str, stored: StoredFilter, norm: BatchNorm | None
    ) -> tuple[Recipe, Recipe]:
        """How the filter [h, w, inputs, channels] and the biases [channels] of a convolution are made, float32."""
        names, shapes = self._tensors(scope, stored.names)
        shape = stored.shape(*shapes)
        if norm is None:
            biases = self._variables.copy_of(f"{self._scope}/{scope}/biases")
            if stored is PLAIN_FILTER:
                return self._variables.copy_of(*names), biases
            return Recipe(shape, names, stored.filter), biases
        factor, offset = self._factor_and_offset(f"{scope}/BatchNorm", norm)

        def folded(*values: Array) -> Array:
            filter_values, statistics = values[: len(names)], values[len(names) :]
            return stored.filter(*filter_values) * factor.make(*statistics)

        return Recipe(shape, names + factor.sources, folded).then(_to_float32), offset.then(_to_float32)

    def _factor_and_offset(self, scope: str, norm: BatchNorm) -> tuple[Recipe, Recipe]:
        """Of a normalization, each float64 [channels]."""
        names, (shape, *_) = self._tensors(scope, norm.names)
        return Recipe(shape, names, norm.factor), Recipe(shape, names, norm.offset)

    def _tensors(
        self, scope: str, names: Sequence[str]
    ) -> tuple[tuple[str, ...], tuple[tuple[int, ...], ...]]:
        """Full names and shapes of a layer's tensors."""
        full = tuple(f"{self._scope}/{scope}/{name}" for name in names)
        return full, tuple(self._variables.copy_of(name).shape for name in full)

    def conv(
        self,
        net: Tensor,
        scope: str,
        channels: int | None,
        kernel: Kernel,
        *,
        stride: int = 1,
        rate: int = 1,
        padding: Padding = "SAME",
        relu: bool = True,
        norm: BatchNorm | None = None,
        stored: StoredFilter = PLAIN_FILTER,
    ) -> Tensor:
        """See `Layers.conv`."""
        if padding == "FIXED":
            net, padding = fixed_padding(net, kernel, rate), "VALID"
        recipes = self.filter_and_biases(scope, stored, norm)
        convolution = Convolution(stride, rate, padding, relu)
        return self._convolve(net, f"{self._scope}/{scope}", recipes, convolution)

    def _convolve(
        self, net: Tensor, scope: str, recipes: tuple[Recipe, Recipe], convolution: Convolution
    ) -> Tensor:
        """Convolve with a filter and biases that `recipes` make, known below `scope`."""
        weights, biases = self._filter_and_biases(scope, recipes)
        return stock_convolution(tf.cast(net, self._stored), weights, biases, convolution)

    def _filter_and_biases(self, scope: str, recipes: tuple[Recipe, Recipe]) -> tuple[Tensor, Tensor]:
        weights, biases = (
            tf.convert_to_tensor(self._variables.get(f"{scope}/{name}", self._rounded(recipe), self._stored))
            for name, recipe in zip(("weights", "biases"), recipes, strict=True)
        )
        return weights, biases

    def _rounded(self, recipe: Recipe) -> Recipe:
        """Of the dtype that is stored; ml_dtypes rounds to the nearest, ties to even, as IEEE 754 has it."""
        if self._stored == tf.float32:
            return recipe
        return recipe.then(lambda values: values.astype(self._stored.as_numpy_dtype))

    def batch_norm(self, net: Tensor, scope: str, norm: BatchNorm) -> Tensor:
        """See `Layers.batch_norm`."""
        factor, offset = (
            self._variables.get(f"{self._scope}/{scope}/{name}", recipe.then(_to_float32))
            for name, recipe in zip(("factor", "offset"), self._factor_and_offset(scope, norm), strict=True)
        )
        return tf.nn.relu(net * tf.cast(factor, net.dtype) + tf.cast(offset, net.dtype))

    def max_pool(
        self, net: Tensor, kernel: int = 2, *, stride: int = 2, rate: int = 1, padding: Padding = "VALID"
    ) -> Tensor:
        """See `Layers.max_pool`."""
        if rate == 1:
            return tf.nn.max_pool2d(net, ksize=kernel, strides=stride, padding=padding)
        # TensorFlow has no dilated maximum: along one axis after the other it is one of shifted copies.
        rows, columns = (tf.shape(net)[axis] - rate * (kernel - 1) for axis in (1, 2))
        shifts = range(0, rate * kernel, rate)
        net = functools.reduce(tf.maximum, (net[:, shift : shift + rows] for shift in shifts))
        return functools.reduce(tf.maximum, (net[:, :, shift : shift + columns] for shift in shifts))

    def avg_pool(self, net: Tensor, kernel: int) -> Tensor:
        """See `Layers.avg_pool`."""
        return tf.nn.avg_pool2d(net, ksize=kernel, strides=1, padding="SAME")

    def global_pool(self, net: Tensor) -> Tensor:
        """See `Layers.global_pool`."""
        return tf.reduce_mean(net, axis=[1, 2], keepdims=True)

    def concat(self, nets: Sequence[Tensor]) -> Tensor:
        """See `Layers.concat`."""
        return tf.concat(list(nets), axis=-1)

    def upsample(self, net: Tensor) -> Tensor:
        """See `Layers.upsample`."""
        return _doubled(_doubled(net, axis=1), axis=2)

    def add(self, net: Tensor, residual: Tensor, *, scale: float = 1.0, relu: bool = False) -> Tensor:
        """See `Layers.add`."""
        net = net + (residual if scale == 1.0 else residual * tf.cast(scale, residual.dtype))
        return tf.nn.relu(net) if relu else net


def _doubled(net: Tensor, axis: int) -> Tensor:
    """Two positions along `axis` for each of [N, H, W, C]: a quarter of a step before its centre, and behind it."""
    shape = tf.unstack(tf.shape(net))
    zeros = tf.zeros_like(tf.gather(net, [0], axis=axis))
    padded = tf.concat([zeros, net, zeros], axis)
    before, behind = (tf.gather(padded, tf.range(shape[axis]) + shift, axis=axis) for shift in (0, 2))
    pairs = tf.stack([0.75 * net + 0.25 * before, 0.75 * net + 0.25 * behind], axis + 1)
    shape[axis] *= 2
    return tf.reshape(pairs, shape)


def stock_convolution(net: Tensor, weights: Tensor, biases: Tensor, convolution: Convolution) -> Tensor:
    """Convolve with a filter, add biases, apply ReLU; all of one dtype."""
    net = tf.nn.conv2d(
        net, weights, strides=convolution.stride, padding=convolution.padding, dilations=convolution.rate
    )
    net = tf.nn.bias_add(net, biases)
    return tf.nn.relu(net) if convolution.relu else net


def _to_float32(values: Array) -> Array:
    return values.astype(np.float32)
