"""The scores of a row of pixels, and which label they decide."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...types import Array

NEVER = -np.inf  # the score of a class that does not compete


class PixelScores(NamedTuple):
    """Scores float64 [W, C] of a row of pixels."""

    sure: Array  # of the classes that compete in any case; NEVER for others
    possible: Array  # of those that compete or do not, by rounding, too

    @classmethod
    def of_all(cls, scores: Array) -> PixelScores:
        """Of pixels for which all classes compete."""
        return cls(scores, scores)

    def among(self, columns: Array) -> PixelScores:
        """Of these pixels of the row alone, bool [W]."""
        return PixelScores(self.sure[columns], self.possible[columns])

    def behind(self, labels: Array) -> Array:
        """By how much each pixel's label, int64 [W], falls short of the best class: [W], 0 or less for the best."""
        return np.asarray(self.sure.max(axis=-1) - self.possible[np.arange(len(labels)), labels])

    def best(self) -> tuple[Array, Array]:
        """The best class of each pixel, and by how much it leads the others: int64 [W] and float64 [W]."""
        best = self.sure.argmax(axis=-1)
        at = np.arange(len(best)), best
        others = self.possible.copy()
        others[at] = NEVER
        # Where no class is sure, several are possible.
        return best, np.asarray(self.sure[at] - others.max(axis=-1))
