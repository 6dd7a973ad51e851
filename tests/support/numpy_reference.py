"""The network and what stands around it once more, in NumPy alone: slow, plain, independent of TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np

MEAN_RGB = np.array([123.68, 116.78, 103.94], np.float32)
Weights = Mapping[str, np.ndarray]


def convolve(images: np.ndarray, weights: np.ndarray, biases: np.ndarray, padding: int) -> np.ndarray:
    """Convolution by im2col and matrix product: [H, W, C] with [k, k, C, D] to [H', W', D]."""
    size, _, channels, outputs = weights.shape
    padded = np.pad(images, [(padding, padding), (padding, padding), (0, 0)])
    patches = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(0, 1))
    height, width = patches.shape[:2]
    columns = patches.transpose(0, 1, 3, 4, 2).reshape(height * width, size * size * channels)
    return (columns @ weights.reshape(-1, outputs) + biases).reshape(height, width, outputs)


def max_pool(net: np.ndarray) -> np.ndarray:
    """2x2, stride 2, an odd last row or column dropped."""
    height, width, channels = net.shape
    net = net[: height // 2 * 2, : width // 2 * 2]
    return net.reshape(height // 2, 2, width // 2, 2, channels).max(axis=(1, 3))


def _vgg_16_conv(net: np.ndarray, weights: Weights, scope: str, padding: int) -> np.ndarray:
    return convolve(net, weights[f"vgg_16/{scope}/weights"], weights[f"vgg_16/{scope}/biases"], padding)


def vgg_16_pools(pixels: np.ndarray, weights: Weights) -> list[np.ndarray]:
    """What the five pooling layers give of float pixels [H, W, 3] whose mean is subtracted."""
    net, pools = pixels, []
    for block, repeats in enumerate((2, 2, 3, 3, 3), 1):
        for i in range(1, repeats + 1):
            net = np.maximum(_vgg_16_conv(net, weights, f"conv{block}/conv{block}_{i}", 1), 0)
        net = max_pool(net)
        pools.append(net)
    return pools


def vgg_16(pixels: np.ndarray, weights: Weights, fc6_padding: int) -> np.ndarray:
    """Logits [h, w, C] of float pixels [H, W, 3] whose mean is subtracted."""
    net = vgg_16_pools(pixels, weights)[-1]
    net = np.maximum(_vgg_16_conv(net, weights, "fc6", fc6_padding), 0)
    net = np.maximum(_vgg_16_conv(net, weights, "fc7", 0), 0)
    return _vgg_16_conv(net, weights, "fc8", 0)


def float32_rounding(terms: Iterable[int]) -> float:
    """Relative error that layers computed in float32 may have, whatever the order of their additions.

    A sum of n products errs by about sqrt(n) unit roundoffs (Higham, Accuracy and Stability of Numerical Algorithms,
    2nd edition, section 4.2: n at worst, sqrt(n) as a rule), and what a layer errs passes through those behind it.

    Args:
        terms: products that one output of each layer adds.
    """
    return sum(math.sqrt(count) for count in terms) * float(np.finfo(np.float32).eps) / 2


def network_rounding(variables: Mapping[str, np.ndarray | tuple[int, ...]]) -> float:
    """`float32_rounding` of the layers whose filters, or their shapes, are among these by variable name."""
    return float32_rounding(
        math.prod((value if isinstance(value, tuple) else value.shape)[:-1])
        for name, value in variables.items()
        if name.endswith("weights")
    )


def mean_rounding(cells: np.ndarray) -> float:
    """What float32 may change, as a fraction, in probabilities of the mean of the cells' logits [h, w, C].

    An error of a logit is the relative error of its probability; softmax adds some roundoffs of its own.
    """
    mean = float32_rounding([cells[..., 0].size]) * float(np.abs(cells).max())
    return 2 * mean + 16 * float(np.finfo(np.float32).eps)


def centred(logits: np.ndarray) -> np.ndarray:
    """Logits [..., C] that softmax tells apart no more than their probabilities."""
    return logits - logits.mean(axis=-1, keepdims=True)


def aligned_logits(image: np.ndarray, weights: Weights) -> np.ndarray:
    """Logits of the aligned geometry: mean colour up to multiples of 32 at the bottom and right, fc6 padded.

    In float64, as far as the weights are.
    """
    height, width, _ = image.shape
    pixels = image.astype(np.float64) - MEAN_RGB
    return vgg_16(np.pad(pixels, [(0, -height % 32), (0, -width % 32), (0, 0)]), weights, fc6_padding=3)


def resize_bilinear(grid: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear interpolation with half-pixel centres and clamped borders: [h, w, C] to [height, width, C]."""

    def along(values: np.ndarray, size: int) -> np.ndarray:
        place = np.clip((np.arange(size) + 0.5) * len(values) / size - 0.5, 0, len(values) - 1)
        lower = np.floor(place).astype(int)
        upper = np.minimum(lower + 1, len(values) - 1)
        share = (place - lower).reshape(-1, *[1] * (values.ndim - 1))
        return values[lower] * (1 - share) + values[upper] * share

    return along(along(grid.astype(np.float64), height).swapaxes(0, 1), width).swapaxes(0, 1)


def central_crop(image: np.ndarray) -> np.ndarray:
    """slim's VGG evaluation: shorter side to 256 by TensorFlow 1's bilinear rule, central 224x224, mean subtracted."""
    height, width, _ = image.shape
    scale = 256 / min(height, width)
    new_height, new_width = round(height * scale), round(width * scale)

    def along(values: np.ndarray, size: int) -> np.ndarray:
        place = np.arange(size) * (len(values) / size)
        lower = np.minimum(np.floor(place).astype(int), len(values) - 1)
        upper = np.minimum(lower + 1, len(values) - 1)
        share = (place - np.floor(place)).reshape(-1, 1, 1)
        return values[lower] * (1 - share) + values[upper] * share

    resized = along(along(image.astype(np.float64), new_height).swapaxes(0, 1), new_width).swapaxes(0, 1)
    top, left = (new_height - 224) // 2, (new_width - 224) // 2
    return resized[top : top + 224, left : left + 224] - MEAN_RGB.astype(np.float64)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities over the last axis."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)
