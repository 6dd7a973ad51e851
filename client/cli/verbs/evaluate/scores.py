"""How good label maps are: pixel accuracy, mean intersection over union, boundary F-score.

Pixels whose true class is not known are not judged: a mask says which are.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

LabelMap = npt.NDArray[Any]
Counts = npt.NDArray[np.int64]
Figures = npt.NDArray[np.float64]

BOUNDARY_TOLERANCE = 0.0075
"""How far a boundary may lie from the true one, as a fraction of the image's diagonal."""


class Pixels(NamedTuple):
    """Pixels by class, [...,C]: of the true class, found as the class, and both at once."""

    true: Counts
    found: Counts
    right: Counts

    @classmethod
    def of(cls, confused: Counts, ids: npt.ArrayLike) -> Pixels:
        """Count those that `confusion` gives, for the classes of these ids, in ascending order."""
        true, found = np.searchsorted(ids, confused[:, :2].T)
        by = [(true, slice(None)), (found, slice(None)), (true, true == found)]
        return cls(
            *(np.bincount(of[which], confused[which, 2], np.size(ids)).astype(np.int64) for of, which in by)
        )


def confusion(truth: LabelMap, found: LabelMap, judged: npt.NDArray[np.bool_]) -> Counts:
    """Count the pixels of each true class and class found there, of two label maps [H,W]: rows of both and the count.

    `judged` [H,W] marks the pixels that count.
    """
    pairs, pixels = np.unique(truth[judged].astype(np.int64) << 16 | found[judged], return_counts=True)
    return np.stack([pairs >> 16, pairs & 0xFFFF, pixels], axis=1)


def pixel_accuracy(pixels: Pixels) -> Figures:
    """Fraction of the pixels that are right, of each [...,C]: float64 [...]; NaN where there are none."""
    return _ratio(pixels.right.sum(axis=-1), pixels.true.sum(axis=-1))


def iou(pixels: Pixels) -> Figures:
    """Intersection over union by class, float64 [...,C]; NaN for a class that is not in the truth."""
    union = pixels.true + pixels.found - pixels.right
    return np.where(pixels.true > 0, _ratio(pixels.right, union), np.nan)


def mean_iou(pixels: Pixels) -> Figures:
    """Mean over the true classes of intersection over union (Everingham et al., PASCAL VOC, IJCV 88, section 4.3)."""
    by_class = iou(pixels)
    present = ~np.isnan(by_class)
    return _ratio(np.where(present, by_class, 0).sum(axis=-1), present.sum(axis=-1))


def boundary_f_scores(
    truth: LabelMap, found: LabelMap, judged: npt.NDArray[np.bool_] | None = None
) -> dict[int, float]:
    """Give the F-score of the boundary of each true class of two label maps [H,W] (Csurka et al., BMVC 2013, 2.2).

    A boundary pixel has another class beside, above or below it. It is right where the other label map has a boundary
    pixel of the same class within a circle of BOUNDARY_TOLERANCE. A class without a boundary, in an image of one
    class, scores 1 where none is found, else 0. A found boundary pixel that is not judged counts only where it is
    right: the true boundary may lie there.
    """
    judged = np.ones(truth.shape, np.bool_) if judged is None else judged
    radius = BOUNDARY_TOLERANCE * float(np.hypot(*truth.shape))
    true_edge, found_edge = _boundary(truth) & judged, _boundary(found)
    recalled = _matched(true_edge, truth, found_edge, found, radius)
    precise = _matched(found_edge, found, true_edge, truth, radius)
    counted = found_edge & (judged | precise)
    scores = {}
    for label in np.unique(truth[judged]).tolist():
        of_truth, of_found = true_edge & (truth == label), counted & (found == label)
        scores[label] = _f_score(recalled[of_truth], precise[of_found])
    return scores


def boundary_f_score(truth: LabelMap, found: LabelMap, judged: npt.NDArray[np.bool_] | None = None) -> float:
    """Mean over the true classes of the F-scores of their boundaries."""
    return float(np.mean(list(boundary_f_scores(truth, found, judged).values())))


def _f_score(recalled: npt.NDArray[np.bool_], precise: npt.NDArray[np.bool_]) -> float:
    if not recalled.size or not precise.size:
        return float(recalled.size == precise.size)
    recall, precision = float(np.mean(recalled)), float(np.mean(precise))
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _boundary(labels: LabelMap) -> npt.NDArray[np.bool_]:
    """Mark the pixels with a neighbour inside the image that is of another class."""
    edge = np.zeros(labels.shape, np.bool_)
    below = labels[1:] != labels[:-1]
    beside = labels[:, 1:] != labels[:, :-1]
    edge[1:] |= below
    edge[:-1] |= below
    edge[:, 1:] |= beside
    edge[:, :-1] |= beside
    return edge


def _matched(
    edge: npt.NDArray[np.bool_],
    labels: LabelMap,
    other_edge: npt.NDArray[np.bool_],
    other: LabelMap,
    radius: float,
) -> npt.NDArray[np.bool_]:
    """Mark the pixels of an edge that have one of the other edge, of the same class, at most `radius` away.

    Edges are few pixels of an image, so each of them looks around, the nearest places first, until it has found one.
    """
    reach = int(radius)
    padded = np.pad(np.where(other_edge, other.astype(np.int64), -1), reach, constant_values=-1)
    steps = np.arange(-reach, reach + 1)
    down, right = (side.ravel() for side in np.meshgrid(steps, steps, indexing="ij"))
    away = down**2 + right**2
    nearest = np.argsort(away, kind="stable")
    rows, columns = np.nonzero(edge)
    wanted = labels[rows, columns]
    left = (rows + reach) * padded.shape[1] + columns + reach
    matched = np.zeros(edge.shape, np.bool_)
    for index in nearest[away[nearest] <= radius**2].tolist():
        hit = padded.ravel()[left + (down[index] * padded.shape[1] + right[index])] == wanted
        matched[rows[hit], columns[hit]] = True
        rows, columns, wanted, left = (each[~hit] for each in (rows, columns, wanted, left))
    return matched


def _ratio(part: npt.NDArray[Any], whole: npt.NDArray[Any]) -> Figures:
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio: Figures = np.true_divide(part, whole)
    return ratio
