"""Inception v4 in NumPy, from the figures of Szegedy et al., arXiv:1602.07261: what tf-slim lacks.

Nothing is shared with the pages of the exporter. A weight is taken by the name that slim's published checkpoint has.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Array = np.ndarray
_EPSILON = 0.001  # of batch normalization, slim's inception_arg_scope


class InceptionV4:
    """The network over these weights, by full name; images [H, W, 3] of values between -1 and 1."""

    def __init__(self, weights: Mapping[str, Array]) -> None:
        self._weights = weights

    def __call__(self, image: Array) -> Array:
        """Logits [C]."""
        net = self._stem(image.astype(np.float64))
        for block in "bcde":
            net = self._inception_a(net, f"Mixed_5{block}")
        net = self._reduction_a(net, "Mixed_6a")
        for block in "bcdefgh":
            net = self._inception_b(net, f"Mixed_6{block}")
        net = self._reduction_b(net, "Mixed_7a")
        for block in "bcd":
            net = self._inception_c(net, f"Mixed_7{block}")
        pooled = net.mean(axis=(0, 1))
        return np.asarray(pooled @ self._value("Logits/Logits/weights") + self._value("Logits/Logits/biases"))

    def _stem(self, net: Array) -> Array:
        """Figure 3; V marks a convolution without padding."""
        net = self._conv(net, "Conv2d_1a_3x3", stride=2, valid=True)
        net = self._conv(net, "Conv2d_2a_3x3", valid=True)
        net = self._conv(net, "Conv2d_2b_3x3")
        net = beside(
            max_pool_3x3(net), self._conv(net, "Mixed_3a/Branch_1/Conv2d_0a_3x3", stride=2, valid=True)
        )
        short = self._chain(net, "Mixed_4a/Branch_0", "Conv2d_0a_1x1")
        short = self._conv(short, "Mixed_4a/Branch_0/Conv2d_1a_3x3", valid=True)
        long = self._chain(net, "Mixed_4a/Branch_1", "Conv2d_0a_1x1", "Conv2d_0b_1x7", "Conv2d_0c_7x1")
        long = self._conv(long, "Mixed_4a/Branch_1/Conv2d_1a_3x3", valid=True)
        net = beside(short, long)
        return beside(
            self._conv(net, "Mixed_5a/Branch_0/Conv2d_1a_3x3", stride=2, valid=True), max_pool_3x3(net)
        )

    def _inception_a(self, net: Array, scope: str) -> Array:
        """Figure 4."""
        return beside(
            self._conv(net, f"{scope}/Branch_0/Conv2d_0a_1x1"),
            self._chain(net, f"{scope}/Branch_1", "Conv2d_0a_1x1", "Conv2d_0b_3x3"),
            self._chain(net, f"{scope}/Branch_2", "Conv2d_0a_1x1", "Conv2d_0b_3x3", "Conv2d_0c_3x3"),
            self._conv(mean_3x3(net), f"{scope}/Branch_3/Conv2d_0b_1x1"),
        )

    def _reduction_a(self, net: Array, scope: str) -> Array:
        """Figure 7."""
        inner = self._chain(net, f"{scope}/Branch_1", "Conv2d_0a_1x1", "Conv2d_0b_3x3")
        return beside(
            self._conv(net, f"{scope}/Branch_0/Conv2d_1a_3x3", stride=2, valid=True),
            self._conv(inner, f"{scope}/Branch_1/Conv2d_1a_3x3", stride=2, valid=True),
            max_pool_3x3(net),
        )

    def _inception_b(self, net: Array, scope: str) -> Array:
        """Figure 5."""
        names = ("Conv2d_0a_1x1", "Conv2d_0b_7x1", "Conv2d_0c_1x7", "Conv2d_0d_7x1", "Conv2d_0e_1x7")
        return beside(
            self._conv(net, f"{scope}/Branch_0/Conv2d_0a_1x1"),
            self._chain(net, f"{scope}/Branch_1", "Conv2d_0a_1x1", "Conv2d_0b_1x7", "Conv2d_0c_7x1"),
            self._chain(net, f"{scope}/Branch_2", *names),
            self._conv(mean_3x3(net), f"{scope}/Branch_3/Conv2d_0b_1x1"),
        )

    def _reduction_b(self, net: Array, scope: str) -> Array:
        """Figure 8."""
        short = self._conv(net, f"{scope}/Branch_0/Conv2d_0a_1x1")
        long = self._chain(net, f"{scope}/Branch_1", "Conv2d_0a_1x1", "Conv2d_0b_1x7", "Conv2d_0c_7x1")
        return beside(
            self._conv(short, f"{scope}/Branch_0/Conv2d_1a_3x3", stride=2, valid=True),
            self._conv(long, f"{scope}/Branch_1/Conv2d_1a_3x3", stride=2, valid=True),
            max_pool_3x3(net),
        )

    def _inception_c(self, net: Array, scope: str) -> Array:
        """Figure 6: two of the branches fork."""
        short = self._conv(net, f"{scope}/Branch_1/Conv2d_0a_1x1")
        long = self._chain(net, f"{scope}/Branch_2", "Conv2d_0a_1x1", "Conv2d_0b_3x1", "Conv2d_0c_1x3")
        return beside(
            self._conv(net, f"{scope}/Branch_0/Conv2d_0a_1x1"),
            self._conv(short, f"{scope}/Branch_1/Conv2d_0b_1x3"),
            self._conv(short, f"{scope}/Branch_1/Conv2d_0c_3x1"),
            self._conv(long, f"{scope}/Branch_2/Conv2d_0d_1x3"),
            self._conv(long, f"{scope}/Branch_2/Conv2d_0e_3x1"),
            self._conv(mean_3x3(net), f"{scope}/Branch_3/Conv2d_0b_1x1"),
        )

    def _chain(self, net: Array, scope: str, *names: str) -> Array:
        for name in names:
            net = self._conv(net, f"{scope}/{name}")
        return net

    def _value(self, name: str) -> Array:
        return self._weights[f"InceptionV4/{name}"].astype(np.float64)

    def _conv(self, net: Array, scope: str, stride: int = 1, valid: bool = False) -> Array:
        """Convolution, batch normalization without a scale, ReLU."""
        net = convolve(net, self._value(f"{scope}/weights"), stride, valid)
        mean, variance, beta = (
            self._value(f"{scope}/BatchNorm/{name}") for name in ("moving_mean", "moving_variance", "beta")
        )
        return np.maximum((net - mean) / np.sqrt(variance + _EPSILON) + beta, 0)


def convolve(net: Array, weights: Array, stride: int, valid: bool) -> Array:
    """[H, W, C] with [h, w, C, D]: one matrix product for each position of the filter. Odd filters, padded by zeros."""
    height, width = weights.shape[:2]
    if not valid:
        net = np.pad(net, [(height // 2, height // 2), (width // 2, width // 2), (0, 0)])
    rows, columns = ((net.shape[axis] - (height, width)[axis]) // stride + 1 for axis in (0, 1))
    total = np.zeros((rows, columns, weights.shape[3]))
    for i in range(height):
        for j in range(width):
            part = net[i : i + (rows - 1) * stride + 1 : stride, j : j + (columns - 1) * stride + 1 : stride]
            total += part @ weights[i, j]
    return total


def max_pool_3x3(net: Array) -> Array:
    """Of every other position, without padding."""
    windows = np.lib.stride_tricks.sliding_window_view(net, (3, 3), axis=(0, 1))[::2, ::2]
    return np.asarray(windows.max(axis=(-2, -1)))


def mean_3x3(net: Array) -> Array:
    """Around each position, of those that exist."""
    total, count = np.zeros_like(net), np.zeros((*net.shape[:2], 1))
    padded, ones = (np.pad(each, [(1, 1), (1, 1), (0, 0)]) for each in (net, np.ones_like(count)))
    for i in range(3):
        for j in range(3):
            total += padded[i : i + net.shape[0], j : j + net.shape[1]]
            count += ones[i : i + net.shape[0], j : j + net.shape[1]]
    return np.asarray(total / count)


def beside(*nets: Array) -> Array:
    """Channels one after the other."""
    return np.concatenate(nets, axis=-1)
