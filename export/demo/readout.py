"""The last layer in closed form: ridge regression on the features below it, then one scale for its scores."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


class Readout(NamedTuple):
    """A linear layer: `weights` float64 [d,C] and `biases` float64 [C]."""

    weights: Matrix
    biases: Matrix

    def logits(self, features: NDArray[np.float32]) -> Matrix:
        """Logits [n,C] of features [n,d]."""
        return np.asarray(features @ self.weights + self.biases)


def ridge(features: NDArray[np.float32], targets: NDArray[np.float32], strength: float) -> Readout:
    """Ridge regression of `targets` [n,C] on `features` [n,d] (Hoerl and Kennard, Technometrics 12, 1970).

    Solved in the dual form, n unknowns for a class, where that is the smaller system. The penalty is `strength` times
    the mean square of a row about the mean of all rows; the biases are not penalised.
    """
    mean = features.mean(axis=0, dtype=np.float64)
    middle = targets.mean(axis=0, dtype=np.float64)
    rows = features - mean
    is_dual = rows.shape[0] <= rows.shape[1]
    kernel = rows @ rows.T if is_dual else rows.T @ rows
    kernel[np.diag_indices_from(kernel)] += strength * np.trace(kernel) / len(rows)
    if is_dual:
        weights = rows.T @ np.linalg.solve(kernel, targets - middle)
    else:
        weights = np.linalg.solve(kernel, rows.T @ (targets - middle))
    return Readout(weights, middle - mean @ weights)


def best_scale(logits: Matrix, targets: NDArray[np.float32]) -> float:
    """The factor on `logits` [n,C] that minimises the cross-entropy of their softmax with `targets` [n,C].

    Temperature scaling (Guo et al., arXiv:1706.04599), to a hundredth part; the classes' order stays as it is.
    """

    def cross_entropy(scale: float) -> float:
        scores = scale * (logits - logits.max(axis=1, keepdims=True))
        return float(np.mean(np.log(np.exp(scores).sum(axis=1)) - np.sum(targets * scores, axis=1)))

    return min((float(scale) for scale in np.geomspace(1, 100, 463)), key=cross_entropy)
