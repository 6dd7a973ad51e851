"""How many images travel in one request: what was faster, one or several, when both were tried."""

from __future__ import annotations

import time
from collections.abc import Callable

_TRIAL = 16  # times as many images as are under way at a time: those under way when a trial begins do not count much
_KEPT = 32  # trials for which the better size is kept before both are tried again
_MARGIN = 1.1  # times as fast, before several are preferred: they wait for each other


class Company:
    """Decides how many images go in the next request, `most` at most, `at_once` images being under way.

    Requests of one image spread over the servers' processors and replicas; a request of several saves what each call
    costs. Which counts more depends on the network and on the machines, and cannot be known before.
    """

    def __init__(self, most: int, at_once: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.size = 1
        self._most = most
        self._trial = _TRIAL * at_once
        self._clock = clock
        self._alone = 0.0  # images a second, one a request
        self._begin(self._warm_up, 1, at_once)

    def answered(self, images: int) -> None:
        """Count images that were answered."""
        self._left -= images
        if self._left <= 0 and self._most > 1:
            self._phase(self._count / max(self._clock() - self._begun, 1e-9))

    def _begin(self, phase: Callable[[float], None], size: int, images: int) -> None:
        self._phase: Callable[[float], None] = phase
        self.size, self._count, self._left = size, images, images
        self._begun = self._clock()

    def _warm_up(self, rate: float) -> None:  # while connections are made
        self._begin(self._try_one, 1, self._trial)

    def _try_one(self, rate: float) -> None:
        self._alone = rate
        self._begin(self._try_several, self._most, self._trial)

    def _try_several(self, rate: float) -> None:
        better = self._most if rate > _MARGIN * self._alone else 1
        self._begin(self._warm_up, better, _KEPT * self._trial)
