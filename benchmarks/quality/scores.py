"""How good label maps are: pixel accuracy, mean intersection over union, boundary F-score."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LabelMap = NDArray[np.uint8]

BOUNDARY_TOLERANCE = 0.0075
"""How far a boundary may lie from the true one, as a fraction of the image's diagonal."""


class Scores:
    """Figures over many scenes: pixels are counted together, boundaries by scene."""

    def __init__(self, classes: int) -> None:
        self._matrix = np.zeros((classes, classes), np.int64)
        self._boundaries: list[float] = []

    def add(self, truth: LabelMap, found: LabelMap) -> None:
        """Count a scene, label maps [H,W]."""
        self._matrix += confusion(truth, found, len(self._matrix))
        self._boundaries.append(boundary_f_score(truth, found))

    @property
    def pixel_accuracy(self) -> float:
        """Of all pixels."""
        return pixel_accuracy(self._matrix)

    @property
    def mean_iou(self) -> float:
        """Mean over the classes of all pixels' intersection over union."""
        return mean_iou(self._matrix)

    @property
    def boundary_f_score(self) -> float:
        """Mean over the scenes."""
        return float(np.mean(self._boundaries))


def confusion(truth: LabelMap, found: LabelMap, classes: int) -> NDArray[np.int64]:
    """Pixels of each true class (rows) and found class (columns) of two label maps [H,W]: [C,C]."""
    pairs = truth.astype(np.int64) * classes + found
    return np.bincount(pairs.ravel(), minlength=classes**2).reshape(classes, classes)


def pixel_accuracy(matrix: NDArray[np.int64]) -> float:
    """Fraction of the pixels that are right."""
    return float(np.trace(matrix) / matrix.sum())


def mean_iou(matrix: NDArray[np.int64]) -> float:
    """Mean over the true classes of intersection over union (Everingham et al., PASCAL VOC, IJCV 88, section 4.3)."""
    union = matrix.sum(axis=0) + matrix.sum(axis=1) - np.diag(matrix)
    present = matrix.sum(axis=1) > 0
    return float(np.mean(np.diag(matrix)[present] / union[present]))


def boundary_f_score(truth: LabelMap, found: LabelMap) -> float:
    """Mean over the true classes of the F-score of their boundaries (Csurka et al., BMVC 2013, section 2.2).

    A boundary pixel has another class beside, above or below it. It is right where the other label map has a boundary
    pixel of the same class within a circle of BOUNDARY_TOLERANCE. A scene of one class has no boundary: 1 where that
    is found, else 0.
    """
    radius = BOUNDARY_TOLERANCE * float(np.hypot(*truth.shape))
    return float(np.mean([_f_score(truth == label, found == label, radius) for label in np.unique(truth)]))


def _f_score(truth: NDArray[np.bool_], found: NDArray[np.bool_], radius: float) -> float:
    true_boundary, found_boundary = _boundary(truth), _boundary(found)
    if not true_boundary.any() or not found_boundary.any():
        return float(true_boundary.any() == found_boundary.any())
    precision = np.mean(_within(true_boundary, radius)[found_boundary])
    recall = np.mean(_within(found_boundary, radius)[true_boundary])
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


def _boundary(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of `mask` with a neighbour inside the image that is not of it."""
    padded = np.pad(mask, 1, mode="edge")
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return np.asarray(mask & ~inner)


def _within(mask: NDArray[np.bool_], radius: float) -> NDArray[np.bool_]:
    """Pixels at most `radius` from one of `mask`."""
    reach = int(radius)
    padded = np.pad(mask, reach)
    height, width = mask.shape
    near = np.zeros_like(mask)
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            if down**2 + right**2 <= radius**2:
                rows, columns = reach + down, reach + right
                near |= padded[rows : rows + height, columns : columns + width]
    return near
