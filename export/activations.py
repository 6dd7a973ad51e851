"""How large a network's activations become: a histogram of what each convolution returns."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from export.folding import Array
from export.layers import Convolution, VariableLayers
from export.model_variables import Recipe, Variables
from export.networks.network import Tensor

_BINS_IN_OCTAVE = 32  # a bin's edges are 2.2 % apart
_LOWEST, _HIGHEST = -24, 40  # powers of 2; what lies outside counts in the outermost bins, zero in the first
_BINS = (_HIGHEST - _LOWEST) * _BINS_IN_OCTAVE


class RecordingLayers(VariableLayers):
    """Layers that count what each convolution with ReLU returns.

    Attributes:
        histograms: by scope, int32 [bins] of the tensors of one run.
    """

    def __init__(self, variables: Variables, scope: str) -> None:
        """See `VariableLayers`."""
        super().__init__(variables, scope)
        self.histograms: dict[str, Tensor] = {}

    def _convolve(
        self, net: Tensor, scope: str, recipes: tuple[Recipe, Recipe], convolution: Convolution
    ) -> Tensor:
        net = super()._convolve(net, scope, recipes, convolution)
        if convolution.relu:
            self.histograms[scope] = _histogram(net)
        return net


def _histogram(values: Tensor) -> Tensor:
    octave = tf.math.log(tf.maximum(values, 2.0**_LOWEST)) * (_BINS_IN_OCTAVE / np.log(2))
    bins = tf.cast(tf.floor(octave), tf.int32) - _LOWEST * _BINS_IN_OCTAVE
    return tf.math.bincount(tf.clip_by_value(bins, 0, _BINS - 1), minlength=_BINS, maxlength=_BINS)


def percentile(histogram: Array, percent: float) -> float:
    """The value that `percent` of all that was counted do not exceed, rounded up to a bin's edge."""
    counted = np.cumsum(histogram, dtype=np.float64)
    index = int(np.searchsorted(counted, counted[-1] * min(percent / 100, 1.0)))
    return float(2.0 ** (_LOWEST + (min(index, _BINS - 1) + 1) / _BINS_IN_OCTAVE))
