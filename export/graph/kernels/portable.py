"""A network's layers in stock TensorFlow ops, over variables that a SavedModel holds."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from ...networks.layers import Activation, Convolution
from ...networks.variables import full_name
from ...types import Array, Padding, Shape, Tensor
from ...weights.folding import PLAIN_FILTER, BatchNorm
from ...weights.recipes import Recipe, Variables
from .padding import with_fixed_padding
from .products import as_product, is_product, transposed
from .strips import in_strips


class FinerCells:
    """The two of the `Layers` that score positions between a network's own cells."""

    def pad_to(self, net: Tensor, side: int) -> Tensor:
        rows, columns = (tf.maximum(side - tf.shape(net)[axis], 0) for axis in (1, 2))
        return tf.pad(net, [[0, 0], [0, rows], [0, columns], [0, 0]])

    def refine(self, net: Tensor, inner: Tensor, factor: int, margin: int) -> Tensor:
        size = (tf.shape(net)[1:3] - 1) * factor + 1
        around = tf.raw_ops.ResizeBilinear(images=net, size=size, align_corners=True)  # always float32
        inner = tf.cast(inner, tf.float32)
        inside = []
        for axis in (1, 2):
            place = tf.range(size[axis - 1]) - margin * factor
            inside.append((place >= 0) & (place < size[axis - 1] - 2 * margin * factor))
            inner = tf.gather(inner, tf.clip_by_value(place, 0, tf.shape(inner)[axis] - 1), axis=axis)
        return tf.where((inside[0][:, None] & inside[1])[..., None], inner, around)


class VariableLayers(FinerCells):
    """Layers that every build of TensorFlow Serving runs.

    They work in the dtype that is stored: a bfloat16 filter that is cast to float32 on every call takes longer. The
    layers that give scores store and work in float32 whatever the others do: bfloat16 has 8 significant bits, and of
    1000 scores rounded to them the best two are often equal. A convolution with a large filter is a product of
    matrices, see `products`.
    """

    takes_pixels = False  # whether images go in as uint8, not prepared
    _in_strips = True
    _transposed: tf.DType | None = None  # the dtype in which products take their matrix transposed

    def __init__(self, variables: Variables, scope: str, stored: tf.DType = tf.float32) -> None:
        """Make filters and biases, stored as `stored`, of the checkpoint's tensors below `scope`."""
        self._variables = variables
        self._scope = scope
        self._stored = stored

    def without_loops(self) -> VariableLayers:
        """The same layers over the same variables without loops that bound memory: converters take none."""
        layers = copy.copy(self)
        layers._in_strips = False
        return layers

    def filter_and_biases(self, convolution: Convolution) -> tuple[Recipe, Recipe]:
        """How the filter [h, w, inputs, channels] and the biases [channels] are made, float32."""
        scope, stored, norm = convolution.scope, convolution.stored, convolution.norm
        names, shapes = self._tensors(scope, stored.names)
        shape = stored.shape(*shapes)
        if norm is None:
            channels = shape[2] if convolution.depthwise else shape[3]
            biases = Recipe((channels,), (), lambda: np.zeros(channels, np.float32))  # the nodes take some
            if convolution.biases:
                (name,), _ = self._tensors(scope, ["biases"])
                biases = self._variables.copy_of(name)
            if stored is PLAIN_FILTER:
                return self._variables.copy_of(*names), biases
            return Recipe(shape, names, stored.filter), biases
        factor, offset = self._factor_and_offset(convolution.batch_norm_scope, norm)
        weights = Recipe(shape, names, stored.filter).combined(factor, stored.scaled)
        return weights.then(_to_float32), offset.then(_to_float32)

    def _factor_and_offset(self, scope: str, norm: BatchNorm) -> tuple[Recipe, Recipe]:
        """Of a normalization, each float64 [channels]."""
        names, (shape, *_) = self._tensors(scope, norm.names)
        return Recipe(shape, names, norm.factor), Recipe(shape, names, norm.offset)

    def _tensors(self, scope: str, names: Sequence[str]) -> tuple[tuple[str, ...], tuple[Shape, ...]]:
        """Full names and shapes of a layer's tensors."""
        full = tuple(f"{full_name(self._scope, scope)}/{name}" for name in names)
        return full, tuple(self._variables.copy_of(name).shape for name in full)

    def conv(self, net: Tensor, convolution: Convolution) -> Tensor:
        for step in convolution.steps:
            net = self._convolve(*with_fixed_padding(net, step), self.filter_and_biases(step))
        return net

    def _convolve(self, net: Tensor, convolution: Convolution, recipes: tuple[Recipe, Recipe]) -> Tensor:
        """Convolve with the filter and biases that `recipes` make; the padding is TensorFlow's."""
        weights, biases = self._stored_values(convolution, recipes)
        net = tf.cast(net, weights.dtype)
        shape = recipes[0].shape
        if not is_product(convolution, shape):
            return self._convolution(net, weights, biases, convolution)
        matrix = weights if weights.dtype == self._transposed else tf.reshape(weights, [-1, shape[-1]])

        def product(rows: Tensor) -> Tensor:
            return self._product(rows, matrix, biases, convolution.activation)

        return as_product(net, convolution, shape[-1], product, in_strips=self._in_strips)

    def _convolution(self, net: Tensor, weights: Tensor, biases: Tensor, convolution: Convolution) -> Tensor:
        return stock_convolution(net, weights, biases, convolution)

    def _product(self, rows: Tensor, matrix: Tensor, biases: Tensor, activation: Activation | None) -> Tensor:
        return stock_product(rows, matrix, biases, activation)

    def _stored_values(
        self, convolution: Convolution, recipes: tuple[Recipe, Recipe]
    ) -> tuple[Tensor, Tensor]:
        """The filter and the biases in the dtype that is stored; of some products the filter as `transposed`."""
        # The two steps of a separable convolution have one scope.
        step = "depthwise_" if convolution.depthwise else ""
        prefix = f"{full_name(self._scope, convolution.scope)}/{step}"
        stored = tf.float32 if convolution.gives_scores or convolution.depthwise else self._stored
        weights, biases = (_rounded(recipe, stored) for recipe in recipes)
        if stored == self._transposed and is_product(convolution, weights.shape):
            weights = transposed(weights)
        get = self._variables.get
        return (
            tf.convert_to_tensor(get(f"{prefix}weights", weights, stored)),
            tf.convert_to_tensor(get(f"{prefix}biases", biases, stored)),
        )

    def batch_norm(self, net: Tensor, scope: str, norm: BatchNorm, *, relu: bool = True) -> Tensor:
        factor, offset = (
            self._variables.get(f"{full_name(self._scope, scope)}/{name}", recipe.then(_to_float32))
            for name, recipe in zip(("factor", "offset"), self._factor_and_offset(scope, norm), strict=True)
        )
        net = net * tf.cast(factor, net.dtype) + tf.cast(offset, net.dtype)
        return tf.nn.relu(net) if relu else net

    def max_pool(
        self, net: Tensor, kernel: int = 2, *, stride: int = 2, rate: int = 1, padding: Padding = "VALID"
    ) -> Tensor:
        if rate == 1:
            return tf.nn.max_pool2d(net, ksize=kernel, strides=stride, padding=padding)
        # TensorFlow has no dilated maximum: along one axis after the other it is one of shifted copies.
        rows, columns = (tf.shape(net)[axis] - rate * (kernel - 1) for axis in (1, 2))
        shifts = range(0, rate * kernel, rate)
        net = functools.reduce(tf.maximum, (net[:, shift : shift + rows] for shift in shifts))
        return functools.reduce(tf.maximum, (net[:, :, shift : shift + columns] for shift in shifts))

    def in_strips(self, net: Tensor, blocks: Callable[[Tensor], Tensor], stride: int, margin: int) -> Tensor:
        return in_strips(net, blocks, stride, margin) if self._in_strips else blocks(net)

    def avg_pool(self, net: Tensor, kernel: int, *, stride: int = 1) -> Tensor:
        return tf.nn.avg_pool2d(net, ksize=kernel, strides=stride, padding="SAME")

    def shift(self, net: Tensor) -> Tensor:
        return tf.pad(net[:, 1:, 1:], [[0, 0], [0, 1], [0, 1], [0, 0]])

    def global_pool(self, net: Tensor) -> Tensor:
        mean = tf.reduce_mean(tf.cast(net, tf.float32), axis=[1, 2], keepdims=True)
        return tf.cast(mean, net.dtype)

    def relu(self, net: Tensor) -> Tensor:
        # Of a sum that others use too, TensorFlow 2.21's optimizer would make one node with a Relu and miss the sum
        # then: it says so and leaves the whole graph as it is.
        return tf.maximum(net, tf.zeros([], net.dtype))

    def resize(self, net: Tensor, like: Tensor) -> Tensor:
        resized = tf.raw_ops.ResizeBilinear(images=net, size=tf.shape(like)[1:3], align_corners=True)
        return tf.cast(resized, net.dtype)  # from float32, whatever comes in

    def concat(self, nets: Sequence[Tensor]) -> Tensor:
        return tf.concat(list(nets), axis=-1)

    def upsample(self, net: Tensor) -> Tensor:
        return _doubled(_doubled(net, axis=1), axis=2)

    def add(self, net: Tensor, residual: Tensor, *, scale: float = 1.0, relu: bool = False) -> Tensor:
        net = net + (residual if scale == 1.0 else residual * tf.cast(scale, residual.dtype))
        return tf.nn.relu(net) if relu else net


def stock_convolution(net: Tensor, weights: Tensor, biases: Tensor, convolution: Convolution) -> Tensor:
    """Convolve with a filter, add biases, apply ReLU or ReLU6; all of one dtype."""
    stride, rate, padding = convolution.stride, convolution.rate, convolution.padding
    if convolution.depthwise:
        net = tf.nn.depthwise_conv2d(net, weights, [1, stride, stride, 1], padding, dilations=[rate, rate])
    else:
        net = tf.nn.conv2d(net, weights, strides=stride, padding=padding, dilations=rate)
    return activated(tf.nn.bias_add(net, biases), convolution.activation)


def stock_product(
    rows: Tensor, matrix: Tensor, biases: Tensor, activation: Activation | None, *, transposed: bool = False
) -> Tensor:
    """Multiply [n, inputs] by [inputs, channels], add biases, apply ReLU or ReLU6; all of one dtype.

    `transposed` says that the matrix is [channels, inputs].
    """
    return activated(tf.nn.bias_add(tf.matmul(rows, matrix, transpose_b=transposed), biases), activation)


def activated(net: Tensor, activation: Activation | None) -> Tensor:
    """Apply ReLU, ReLU6 or nothing."""
    return {None: tf.identity, "Relu": tf.nn.relu, "Relu6": tf.nn.relu6}[activation](net)


def _doubled(net: Tensor, axis: int) -> Tensor:
    """Two positions along `axis` for each of [N, H, W, C]: a quarter of a step before its centre, and after it."""
    shape = tf.unstack(tf.shape(net))
    zeros = tf.zeros_like(tf.gather(net, [0], axis=axis))
    padded = tf.concat([zeros, net, zeros], axis)
    before, behind = (tf.gather(padded, tf.range(shape[axis]) + shift, axis=axis) for shift in (0, 2))
    pairs = tf.stack([0.75 * net + 0.25 * before, 0.75 * net + 0.25 * behind], axis + 1)
    shape[axis] *= 2
    return tf.reshape(pairs, shape)


def _rounded(recipe: Recipe, dtype: tf.DType) -> Recipe:
    """The recipe of the same in `dtype`; ml_dtypes rounds to the nearest, ties to even, as IEEE 754 has it."""
    return recipe if dtype == tf.float32 else recipe.then(lambda values: values.astype(dtype.as_numpy_dtype))


def _to_float32(values: Array) -> Array:
    return values.astype(np.float32)
