"""What a network's convolutions take and return: the mean of each input channel, a histogram of the results."""

from __future__ import annotations

import operator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from ..kernels.portable import Convolution, VariableLayers
from ..networks.network import Tensor
from ..weights.folding import Array
from ..weights.recipes import Recipe, Variables

_BINS_IN_OCTAVE = 32  # a bin's edges are 2.2 % apart
_LOWEST, _HIGHEST = -24, 40  # powers of 2; what lies outside counts in the outermost bins, zero in the first
_BINS = (_HIGHEST - _LOWEST) * _BINS_IN_OCTAVE


class Recorded(NamedTuple):
    """What was counted of a convolution, over one or more images; tensors or arrays.

    Attributes:
        histogram: of what it returns, int [bins].
        inputs: sum of each input channel, float [inputs].
        positions: how many were added.
    """

    histogram: Tensor
    inputs: Tensor
    positions: Tensor

    def plus(self, other: Recorded) -> Recorded:
        """Both."""
        return Recorded(*map(operator.add, self, other))


class Statistics(NamedTuple):
    """What 8 bits take of a convolution.

    Attributes:
        range: of what it returns, from 0.
        inputs: mean of each input channel, float64 [inputs].
    """

    range: float
    inputs: Array


class RecordingLayers(VariableLayers):
    """Layers that count what each convolution with ReLU takes and returns.

    Attributes:
        recorded: by scope, in one run.
    """

    def __init__(self, variables: Variables, scope: str) -> None:
        """See `VariableLayers`."""
        super().__init__(variables, scope)
        self.recorded: dict[str, Recorded] = {}

    def _convolve(
        self, net: Tensor, scope: str, recipes: tuple[Recipe, Recipe], convolution: Convolution
    ) -> Tensor:
        result = super()._convolve(net, scope, recipes, convolution)
        if convolution.relu:
            positions = tf.reduce_prod(tf.cast(tf.shape(net)[:3], tf.float64))
            inputs = tf.cast(tf.reduce_mean(net, axis=[0, 1, 2]), tf.float64) * positions
            counted = Recorded(_histogram(result), inputs, positions)
            known = self.recorded.get(scope)
            self.recorded[scope] = known.plus(counted) if known else counted
        return result


def _histogram(values: Tensor) -> Tensor:
    octave = tf.math.log(tf.maximum(values, 2.0**_LOWEST)) * (_BINS_IN_OCTAVE / np.log(2))
    bins = tf.cast(tf.floor(octave), tf.int32) - _LOWEST * _BINS_IN_OCTAVE
    return tf.math.bincount(
        tf.clip_by_value(bins, 0, _BINS - 1), minlength=_BINS, maxlength=_BINS, dtype=tf.int64
    )


def statistics(recorded: Recorded, percent: float) -> Statistics:
    """The range that `percent` of the activations do not exceed, and the inputs' means."""
    return Statistics(percentile(recorded.histogram, percent), recorded.inputs / recorded.positions)


def percentile(histogram: Array, percent: float) -> float:
    """The value that `percent` of all that was counted do not exceed, rounded up to a bin's edge."""
    counted = np.cumsum(histogram, dtype=np.float64)
    index = int(np.searchsorted(counted, counted[-1] * min(percent / 100, 1.0)))
    return float(2.0 ** (_LOWEST + (min(index, _BINS - 1) + 1) / _BINS_IN_OCTAVE))
