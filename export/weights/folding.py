"""What a checkpoint stores of a convolution, and the one filter and the biases that come of it.

Batch normalization with fixed statistics is a factor and an offset for each channel. Both are folded into the filter
and the biases when a model is exported, in float64, so that every convolution of the exported graph is a filter,
biases and perhaps ReLU.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..types import Array, Shape, VariableShape


class StoredFilter:
    """How a checkpoint stores the filter of a convolution: here `weights` is the filter."""

    names: ClassVar[tuple[str, ...]] = ("weights",)  # of the variables, below the layer's scope

    def variables(self, kernel: Shape, inputs: int, channels: int | None) -> dict[str, VariableShape]:
        """Shapes by name, for a filter of that height and width, input channels and output channels."""
        return {"weights": (*kernel, inputs, channels)}

    def shape(self, *shapes: Shape) -> Shape:
        """Shape [h, w, inputs, channels] of the filter, from those of the variables."""
        return shapes[0]

    def filter(self, *values: Array) -> Array:
        """The filter [h, w, inputs, channels], from the variables' values in order."""
        return values[0]

    def scaled(self, filter_values: Array, factor: Array) -> Array:
        """The filter whose results are multiplied by `factor` [channels]."""
        return filter_values * factor


class Matrix(StoredFilter):
    """`weights` is the matrix [inputs, channels] of a fully connected layer, which sees one position at a time."""

    def variables(self, kernel: Shape, inputs: int, channels: int | None) -> dict[str, VariableShape]:
        return {"weights": (inputs, channels)}

    def shape(self, *shapes: Shape) -> Shape:
        return (1, 1, *shapes[0])

    def filter(self, *values: Array) -> Array:
        return values[0][None, None]


class Depthwise(StoredFilter):
    """`depthwise_weights` has a filter for each channel, which is convolved alone: [h, w, channels, 1]."""

    names: ClassVar[tuple[str, ...]] = ("depthwise_weights",)

    def variables(self, kernel: Shape, inputs: int, channels: int | None) -> dict[str, VariableShape]:
        return {"depthwise_weights": (*kernel, inputs, 1)}

    def scaled(self, filter_values: Array, factor: Array) -> Array:
        return filter_values * factor[:, None]


class Pointwise(StoredFilter):
    """`pointwise_weights` is the filter, 1x1: the second step of a separable convolution."""

    names: ClassVar[tuple[str, ...]] = ("pointwise_weights",)


@dataclass(frozen=True)
class Separable(StoredFilter):
    """A separable convolution: each input channel has filters of its own, and a 1x1 convolution mixes what they give.

    Nothing lies between the two, so they are one convolution.
    """

    names: ClassVar[tuple[str, ...]] = ("depthwise_weights", "pointwise_weights")
    multiplier: int  # filters of each input channel

    def variables(self, kernel: Shape, inputs: int, channels: int | None) -> dict[str, VariableShape]:
        return {
            "depthwise_weights": (*kernel, inputs, self.multiplier),
            "pointwise_weights": (1, 1, inputs * self.multiplier, channels),
        }

    def shape(self, *shapes: Shape) -> Shape:
        depthwise, pointwise = shapes
        return (*depthwise[:3], pointwise[3])

    def filter(self, *values: Array) -> Array:
        depthwise, pointwise = (value.astype(np.float64) for value in values)
        mixing = pointwise.reshape(*depthwise.shape[2:], -1)
        return np.asarray(np.einsum("hwim,imo->hwio", depthwise, mixing), np.float32)


@dataclass(frozen=True)
class BatchNorm:
    """Batch normalization with fixed statistics (Ioffe and Szegedy, arXiv:1502.03167, algorithm 2), as slim has it."""

    epsilon: float  # added to the variance
    scaled: bool  # whether there is a factor `gamma`

    @property
    def names(self) -> tuple[str, ...]:
        """The variables, each [channels], below the normalization's scope."""
        return ("beta", *(("gamma",) if self.scaled else ()), "moving_mean", "moving_variance")

    def factor(self, *values: Array) -> Array:
        """What each channel is multiplied by, float64 [channels], from the variables' values in order."""
        variance = values[-1].astype(np.float64)
        gamma = values[1].astype(np.float64) if self.scaled else 1.0
        return np.asarray(gamma / np.sqrt(variance + self.epsilon))

    def offset(self, *values: Array) -> Array:
        """What is added to each channel after the factor, float64 [channels], from the same values."""
        return np.asarray(values[0] - values[-2].astype(np.float64) * self.factor(*values))


PLAIN_FILTER = StoredFilter()
