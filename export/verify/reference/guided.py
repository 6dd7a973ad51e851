"""The guided filter in NumPy, float64, from its definition: what `--upsampling guided` must give.

Nothing here is shared with `graph.heads.guided`. There, sums over patches are put together; here, each window is fitted
by itself (He, Sun, Tang, TPAMI 2013, equations 19 to 21).
"""

from __future__ import annotations

import itertools

import numpy as np

from ...types import Array
from . import expected
from .pixel_scores import NEVER, PixelScores

EPSILON = 3e-4
_SMOOTHED = 9  # pixels a side
_PLACES = 1e-5
"""How far float32 may leave a pixel from its place between the cells: of 2048 pixels, some units in the last place."""

_GAIN = 8
"""How much larger an error of the probabilities may be where a colour is some standard deviations from the mean."""


def rounding(cells: Array, of_scores: float) -> float:
    """How far float32 may leave a filtered probability from float64's, where scores `cells` are `of_scores` off.

    Softmax halves errors at least. The variances of colours are differences of float32 means, beside EPSILON; what they
    do to a slope is a part of it, and so of the range of the probabilities.
    """
    probabilities = expected.softmax(cells)
    largest = float(np.ptp(probabilities, axis=(0, 1)).max())
    return _GAIN * (of_scores / 2 + largest * 2**-24 / EPSILON)


def guide(image: Array) -> Array:
    """The colours of uint8 [H, W, 3], between 0 and 1, each the mean of a square of those that exist, float64."""
    return expected.pooled(image.astype(np.float64), _SMOOTHED) / 255


class Filter:
    """The filtered probabilities of the classes that compete in one image."""

    def __init__(self, cells: Array, image: Array, axes: expected.Axes, reach: int, margin: float) -> None:
        """Fit the function of each window.

        Args:
            cells: scores [h, w, C].
            image: uint8 [H, W, 3].
            axes: where its pixels lie among the cells.
            reach: of a window to each side of its cell's centre, in cells.
            margin: by which the best class of a cell must lead to be the best in float32 too.
        """
        self._axes, self._colours = axes, guide(image)
        height, width, self._classes = cells.shape
        leading = cells >= cells.max(axis=-1, keepdims=True) - margin
        self._ids = np.flatnonzero(leading.any(axis=(0, 1)))
        leading = leading[..., self._ids]
        alone = leading & (np.count_nonzero(leading, axis=-1, keepdims=True) == 1)
        self._possible, self._sure = _in_patches(leading, reach), _in_patches(alone, reach)
        probabilities = expected.softmax(cells)[..., self._ids]
        shares = [_shares(place, count) for place, count in zip(axes, (height, width), strict=True)]
        windows = [_windows(place, count, reach) for place, count in zip(axes, (height, width), strict=True)]
        self._functions = np.empty((height, width, 4, self._ids.size))
        for row, rows in enumerate(windows[0]):
            down, above = _touched(shares[0][rows])
            for column, columns in enumerate(windows[1]):
                across, left = _touched(shares[1][columns])
                near = probabilities[above : above + down.shape[1], left : left + across.shape[1]]
                self._functions[row, column] = _fitted(self._colours[rows, columns], down, across, near)

    def __call__(self, row: int) -> PixelScores:
        """Filtered probabilities of a row of pixels."""
        flat = self._functions.reshape(*self._functions.shape[:2], -1)
        functions = expected.interpolated(flat, float(self._axes[0][row]), self._axes[1])
        functions = functions.reshape(-1, 4, self._ids.size)
        colours = self._colours[row]
        found = np.einsum("xg,xgc->xc", colours, functions[:, :3]) + functions[:, 3]
        possible, sure = np.zeros(found.shape, bool), np.ones(found.shape, bool)
        for down, across in itertools.product((-_PLACES, _PLACES), repeat=2):
            above = _patch(self._axes[0][row] + down, len(self._possible))
            left = _patch(self._axes[1] + across, self._possible.shape[1])
            possible |= self._possible[above, left]
            sure &= self._sure[above, left]
        return PixelScores(self._of_all(found, sure), self._of_all(found, possible))

    def _of_all(self, found: Array, competes: Array) -> Array:
        """What was found of the classes that compete, among all: [W, K] to [W, C]."""
        of_all = np.full((len(found), self._classes), NEVER)
        of_all[:, self._ids] = np.where(competes, found, NEVER)
        return of_all


def _in_patches(leading: Array, reach: int) -> Array:
    """Where each class competes: it is `leading` in a cell within `reach` of one of the patch's four cells.

    Bool [h, w, K] to [h + 1, w + 1, K]; the first and the last patch of an axis lie beyond the outermost cells.
    """
    for axis in (0, 1):
        # The cells around the patch's lower cell, and around its upper one.
        sides = [(reach + 1, reach + 1) if each == axis else (0, 0) for each in range(3)]
        padded = np.pad(leading, sides)
        windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 2, axis)
        leading = np.asarray(windows.any(axis=-1))
    return leading


def _patch(place: Array, patches: int) -> Array:
    """Which patch of an axis a pixel lies in."""
    return np.clip(np.floor(place).astype(np.int64) + 1, 0, patches - 1)


def _shares(place: Array, count: int) -> Array:
    """Of each cell in each pixel of one axis, as bilinear interpolation takes them: [pixels, cells]."""
    place = np.clip(place, 0, count - 1)
    return np.asarray(np.clip(1 - np.abs(place[:, None] - np.arange(count)), 0, None))


def _windows(place: Array, count: int, reach: int) -> list[slice]:
    """The pixels of one axis between `reach` cells before each cell and `reach` behind it."""
    edges = np.arange(count)
    first, last = (np.searchsorted(place, edges + shift) for shift in (-reach, reach))
    return [slice(int(start), int(stop)) for start, stop in zip(first, last, strict=True)]


def _touched(shares: Array) -> tuple[Array, int]:
    """The columns of the cells that have a share in some pixel, and the first of them."""
    cells = np.flatnonzero(shares.any(axis=0))
    return shares[:, cells[0] : cells[-1] + 1], int(cells[0])


def _fitted(colours: Array, down: Array, across: Array, near: Array) -> Array:
    """The function [4, C] of one window: of its colours [y, x, 3] and probabilities, which are down @ near @ across."""
    pixels = colours.shape[0] * colours.shape[1]
    mean = colours.mean(axis=(0, 1))
    centred = colours - mean
    flat = centred.reshape(-1, 3)
    weights = np.einsum("ym,yxg,xn->gmn", down, centred, across, optimize=True) / pixels
    covariance = np.tensordot(weights, near, 2)
    slopes = np.linalg.solve(flat.T @ flat / pixels + EPSILON * np.eye(3), covariance)
    average = np.tensordot(np.outer(down.mean(axis=0), across.mean(axis=0)), near, 2)
    return np.concatenate([slopes, [average - mean @ slopes]])
