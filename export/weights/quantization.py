"""Filters in 8 bits, symmetric, with a scale for each output channel.

Activations are unsigned bytes. A processor without VNNI multiplies two neighbouring input channels at once and adds the
products in 16 bits, where they saturate (oneDNN's "Nuances of int8 computations"): 255 * 128 still fits. So a filter
uses its 8 bits as far as no such pair of values adds up to more, and the answers are the same on every processor.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..types import Array

LARGEST = 127  # the largest magnitude of a value; in oneDNN the range of a filter stands for it
LARGEST_SUM = 128  # of the values of input channels 2k and 2k + 1, which are multiplied at once
_BELOW_SUM = LARGEST_SUM - 0.01  # what the sum is scaled to: both values may be rounded up


class Statistics(NamedTuple):
    """What calibration finds of a convolution."""

    range: float  # of its results, which begins at 0: what 255 stands for
    inputs: Array  # mean of each input channel, float64 [inputs]


def filter_range(filter_values: Array) -> Array:
    """What 127 stands for in each channel of [h, w, inputs, channels]: float32 [channels]."""
    step = np.zeros(filter_values.shape[3], np.float32)
    for row in filter_values:  # not all at once: fc6 of VGG has 411 MB
        pairs = row[:, ::2].copy()
        pairs[:, : row.shape[1] // 2] += row[:, 1::2]
        for values, most in ((row, LARGEST), (pairs, _BELOW_SUM)):
            largest = np.maximum(values.max(axis=(0, 1)), -values.min(axis=(0, 1)))
            step = np.maximum(step, largest / np.float32(most))
    # A channel of zeros has any scale.
    return np.where(step > 0, step * np.float32(LARGEST), 1).astype(np.float32)


def quantized(filter_values: Array) -> Array:
    """The filter as int8, rounded to the nearest, of the same shape."""
    scale = np.float32(LARGEST) / filter_range(filter_values)
    result = np.empty(filter_values.shape, np.int8)
    for row in range(len(result)):
        result[row] = np.rint(filter_values[row] * scale)
    return result


def dequantized(filter_values: Array) -> Array:
    """What the int8 filter stands for, float32 of the same shape."""
    scale = filter_range(filter_values) / np.float32(LARGEST)
    return np.asarray(quantized(filter_values) * scale)


def rounding_error(filter_values: Array) -> Array:
    """What the int8 filter adds to a constant of 1 in each input channel: float64 [inputs, channels]."""
    range_ = filter_range(filter_values)
    step, scale = range_ / np.float32(LARGEST), np.float32(LARGEST) / range_
    error = np.zeros(filter_values.shape[2:])
    for row in filter_values:
        error += (np.rint(row * scale) * step - row).sum(axis=0, dtype=np.float64)
    return error
