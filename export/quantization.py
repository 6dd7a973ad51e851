"""Filters in 8 bits, symmetric, with a scale for each output channel.

Activations are unsigned bytes. A processor without VNNI multiplies two pairs of bytes and adds the products in 16 bits,
where they saturate (oneDNN's "Nuances of int8 computations"). 2 * 255 * 64 still fits: filters use 7 of their 8 bits,
and the answers are the same on every processor.
"""

from __future__ import annotations

import numpy as np

from export.folding import Array

LARGEST = 64  # the largest magnitude that a filter uses
_LIMIT = 127  # what the range of a filter stands for in oneDNN


def filter_range(filter_values: Array) -> Array:
    """What 127 stands for in each channel of [h, w, inputs, channels]: float32 [channels]."""
    largest = np.maximum(filter_values.max(axis=(0, 1, 2)), -filter_values.min(axis=(0, 1, 2)))
    # A channel of zeros has any scale.
    return np.where(largest > 0, largest * np.float32(_LIMIT / LARGEST), 1).astype(np.float32)


def quantized(filter_values: Array) -> Array:
    """The filter as int8, rounded to the nearest, of the same shape."""
    scale = np.float32(_LIMIT) / filter_range(filter_values)
    result = np.empty(filter_values.shape, np.int8)
    for row in range(len(result)):  # not all at once: fc6 of VGG has 411 MB
        result[row] = np.rint(filter_values[row] * scale)
    return result


def dequantized(filter_values: Array) -> Array:
    """What the int8 filter stands for, float32 of the same shape."""
    scale = filter_range(filter_values) / np.float32(_LIMIT)
    return np.asarray(quantized(filter_values) * scale)
