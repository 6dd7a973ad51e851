"""Figures over many scenes, by the functions with which `slimserve evaluate` judges a server."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from slimserve.cli.verbs.evaluate.scores import (
    Counts,
    Pixels,
    boundary_f_score,
    confusion,
    mean_iou,
    pixel_accuracy,
)

LabelMap = NDArray[np.uint8]


def regions(label_map: NDArray[np.integer]) -> int:
    """How many regions of one label a map [H,W] has; pixels that touch at a corner are apart."""
    pixels = np.arange(label_map.size).reshape(label_map.shape)
    below, beside = label_map[1:] == label_map[:-1], label_map[:, 1:] == label_map[:, :-1]
    ends = [(pixels[1:][below], pixels[:-1][below]), (pixels[:, 1:][beside], pixels[:, :-1][beside])]
    edges = np.concatenate(ends, axis=1)
    root = pixels.ravel().copy()
    while edges.size:
        one, other = root[edges]
        np.minimum.at(root, np.maximum(one, other), np.minimum(one, other))
        while not np.array_equal(root, root[root]):
            root = root[root]
        edges = edges[:, root[edges[0]] != root[edges[1]]]
    return len(np.unique(root))


class Scores:
    """Pixels are counted together, boundaries by scene."""

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self._confused: list[Counts] = []
        self._boundaries: list[float] = []

    def add(self, truth: LabelMap, found: LabelMap) -> None:
        """Count a scene, label maps [H,W]."""
        self._confused.append(confusion(truth, found, np.ones(truth.shape, np.bool_)))
        self._boundaries.append(boundary_f_score(truth, found))

    @property
    def pixel_accuracy(self) -> float:
        """Of all pixels."""
        return float(pixel_accuracy(Pixels.of(np.concatenate(self._confused), range(self._classes))))

    @property
    def mean_iou(self) -> float:
        """Mean over the classes of all pixels' intersection over union."""
        return float(mean_iou(Pixels.of(np.concatenate(self._confused), range(self._classes))))

    @property
    def boundary_f_score(self) -> float:
        """Mean over the scenes."""
        return float(np.mean(self._boundaries))
