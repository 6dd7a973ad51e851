"""How sure figures are, and how sure a difference between two sides that were asked the same images.

Intervals are those of the percentile bootstrap over images (Efron and Tibshirani, An Introduction to the Bootstrap,
1993, chapter 13): the images are drawn again, with replacement, and the figure is taken of each draw. A difference is
taken of both sides in the same draw, so that what an image does to both of them cancels out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]

RESAMPLES, SEED, CONFIDENCE = 2000, 0, 0.95
METHOD = (
    f"{CONFIDENCE:.0%} intervals: percentile bootstrap over images, {RESAMPLES} draws, seed {SEED} "
    "(Efron and Tibshirani 1993, chapter 13)"
)
_DRAWN_AT_ONCE = 1 << 22  # images


class Tally(NamedTuple):
    """What the figures of many images follow from.

    Attributes:
        names: of the figures.
        totals: float64 [N,K], the parts of each image; those of several images are added.
        figures: from sums of totals [...,K] to figures [...,F]; NaN for one that does not exist.
    """

    names: tuple[str, ...]
    totals: Numbers
    figures: Callable[[Numbers], Numbers]

    def values(self) -> Numbers:
        """Give the figures of all images, [F]."""
        return self.figures(self.totals.sum(axis=0))

    def only(self, names: Sequence[str]) -> Tally:
        """Leave the figures of those names."""
        places = [self.names.index(name) for name in names]
        return Tally(tuple(names), self.totals, lambda sums: self.figures(sums)[..., places])


def intervals(tally: Tally) -> Numbers:
    """Give the lower and upper end of the interval of each figure: [2,F]."""
    return _ends(np.concatenate([tally.figures(draws @ tally.totals) for draws in _draws(len(tally.totals))]))


def difference_intervals(one: Tally, other: Tally) -> Numbers:
    """Give the ends of the interval of `other` minus `one`, both of the same images in the same order: [2,F]."""
    differences = [
        other.figures(draws @ other.totals) - one.figures(draws @ one.totals)
        for draws in _draws(len(one.totals))
    ]
    return _ends(np.concatenate(differences))


def _draws(images: int) -> Iterator[Numbers]:
    """Give how often each image is in each draw, [n,N] of some draws at a time."""
    random = np.random.default_rng(SEED)
    at_once = max(_DRAWN_AT_ONCE // images, 1)
    for first in range(0, RESAMPLES, at_once):
        count = min(at_once, RESAMPLES - first)
        drawn = random.integers(0, images, (count, images)) + images * np.arange(count)[:, None]
        yield np.bincount(drawn.ravel(), minlength=count * images).reshape(count, images).astype(np.float64)


def _ends(figures: Numbers) -> Numbers:
    tail = (1 - CONFIDENCE) / 2
    return np.nanquantile(figures, [tail, 1 - tail], axis=0)


def mcnemar(only_one: int, only_other: int) -> float:
    """Give the two-sided p-value of McNemar's exact test (McNemar, Psychometrika 12, 1947; binomial, not chi-square).

    Of the images that one side alone has right, each side has half if the sides are equally good.
    """
    count, fewer = only_one + only_other, min(only_one, only_other)
    ways = tail = 1  # in which so many of the images, from none to `fewer`, can be those of one side
    for each in range(fewer):
        ways = ways * (count - each) // (each + 1)
        tail += ways
    return min(1.0, float(2 * tail / 2**count))
