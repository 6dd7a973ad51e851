"""NASNet-A in NumPy, cell by cell from figure 4 of Zoph et al., arXiv:1707.07012, in float64.

Nothing is shared with the pages of the exporter. A weight is taken by the name that slim's published checkpoint has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product

import numpy as np

from tests.support.paper_networks import beside

Array = np.ndarray
_EPSILON = 0.001  # of batch normalization, slim's nasnet_mobile_arg_scope


def windows(net: Array, side: int, stride: int, beyond: float = 0.0) -> Array:
    """What `side` x `side` filters see of [H, W, C], padded as "SAME" pads: [h, w, C, side, side].

    https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2
    """
    totals = [max((-(-size // stride) - 1) * stride + side - size, 0) for size in net.shape[:2]]
    pads = [*((total // 2, total - total // 2) for total in totals), (0, 0)]
    padded = np.pad(net, pads, constant_values=beyond)
    return np.lib.stride_tricks.sliding_window_view(padded, (side, side), (0, 1))[::stride, ::stride]


def maximum(net: Array, stride: int = 1) -> Array:
    """Of the 3x3 positions that there are."""
    return np.asarray(windows(net, 3, stride, -np.inf).max(axis=(-2, -1)))


def mean(net: Array, stride: int = 1) -> Array:
    """Of the 3x3 positions that there are."""
    return np.asarray(np.nanmean(windows(net, 3, stride, np.nan), axis=(-2, -1)))


class Cells:
    """The layers of a NASNet over these weights, by name."""

    def __init__(self, weights: Mapping[str, Array]) -> None:
        self._weights = weights

    def value(self, name: str) -> Array:
        return self._weights[name].astype(np.float64)

    def normalized(self, net: Array, scope: str) -> Array:
        offset, scale, centre, variance = (
            self.value(f"{scope}/{name}") for name in ("beta", "gamma", "moving_mean", "moving_variance")
        )
        return np.asarray((net - centre) / np.sqrt(variance + _EPSILON) * scale + offset)

    def mixed(self, net: Array, scope: str) -> Array:
        """A 1x1 convolution."""
        return np.asarray(net @ self.value(f"{scope}/weights")[0, 0])

    def projected(self, net: Array, scope: str, norm: str) -> Array:
        return self.normalized(self.mixed(np.maximum(net, 0), scope), norm)

    def separable(self, net: Array, scope: str, side: int, stride: int = 1) -> Array:
        """ReLU, a separable convolution and a normalization, twice."""
        for number in (1, 2):
            name = f"{side}x{side}_{number}"
            depthwise = self.value(f"{scope}/separable_{name}/depthwise_weights")[..., 0]
            seen = windows(np.maximum(net, 0), side, stride if number == 1 else 1)
            net = np.einsum("ijchw,hwc->ijc", seen, depthwise)
            net = net @ self.value(f"{scope}/separable_{name}/pointwise_weights")[0, 0]
            net = self.normalized(net, f"{scope}/bn_sep_{name}")
        return net

    def brought_to(self, size: tuple[int, int], channels: int, before: Array, scope: str) -> Array:
        """What the cell before the last gave, with the positions and channels of a cell."""
        if before.shape[:2] != size:
            net = np.maximum(before, 0)
            shifted = np.zeros_like(net)
            shifted[:-1, :-1] = net[1:, 1:]
            halves = [
                self.mixed(path[::2, ::2], f"{scope}/path{number}_conv")
                for number, path in ((1, net), (2, shifted))
            ]
            return self.normalized(beside(*halves), f"{scope}/final_path_bn")
        if before.shape[2] != channels:
            return self.projected(before, f"{scope}/prev_1x1", f"{scope}/prev_bn")
        return before

    def begun(self, last: Array, before: Array | None, scope: str) -> tuple[Array, Array]:
        net = self.projected(last, f"{scope}/1x1", f"{scope}/beginning_bn")
        if before is None:
            return net, last
        return net, self.brought_to(last.shape[:2], net.shape[2], before, scope)

    def stem(self, image: Array, reduction: Callable[[Array, Array | None, str], Array]) -> list[Array]:
        """An unpadded 3x3 convolution with stride 2, and two cells that reduce."""
        weights = self.value("conv0/weights")
        rows, columns = ((size - 3) // 2 + 1 for size in image.shape[:2])
        net = sum(
            image[i : i + 2 * rows - 1 : 2, j : j + 2 * columns - 1 : 2] @ weights[i, j]
            for i, j in product(range(3), range(3))
        )
        first = self.normalized(np.asarray(net), "conv0_bn")
        second = reduction(first, None, "cell_stem_0")
        return [first, second, reduction(second, first, "cell_stem_1")]

    def scores(self, net: Array) -> Array:
        """Logits [C]."""
        pooled = np.maximum(net, 0).mean(axis=(0, 1))
        return np.asarray(pooled @ self.value("final_layer/FC/weights") + self.value("final_layer/FC/biases"))


class NASNetA(Cells):
    """Three times so many normal cells."""

    def __call__(self, image: Array, repetitions: int, skips: bool) -> Array:
        """Logits [C] of a prepared image [H, W, 3]."""
        done = self.stem(image.astype(np.float64), self.reduction)
        for number in range(3 * repetitions):
            before = done[-2]
            if number and number % repetitions == 0:
                scope = f"reduction_cell_{number // repetitions - 1}"
                done.append(self.reduction(done[-1], before, scope))
                before = before if skips else done[-2]
            done.append(self.normal(done[-1], before, f"cell_{number}"))
        return self.scores(done[-1])

    def normal(self, last: Array, before: Array, scope: str) -> Array:
        h, p = self.begun(last, before, scope)
        at = f"{scope}/comb_iter_"
        first = self.separable(h, f"{at}0/left", 5) + self.separable(p, f"{at}0/right", 3)
        second = self.separable(p, f"{at}1/left", 5) + self.separable(p, f"{at}1/right", 3)
        third = mean(h) + p
        fourth = mean(p) + mean(p)
        fifth = self.separable(h, f"{at}4/left", 3) + h
        return beside(p, first, second, third, fourth, fifth)

    def reduction(self, last: Array, before: Array | None, scope: str) -> Array:
        h, p = self.begun(last, before, scope)
        at = f"{scope}/comb_iter_"
        first = self.separable(h, f"{at}0/left", 5, 2) + self.separable(p, f"{at}0/right", 7, 2)
        second = maximum(h, 2) + self.separable(p, f"{at}1/right", 7, 2)
        third = mean(h, 2) + self.separable(p, f"{at}2/right", 5, 2)
        fourth = second + mean(first)
        fifth = self.separable(first, f"{at}4/left", 3) + maximum(h, 2)
        return beside(second, third, fourth, fifth)
