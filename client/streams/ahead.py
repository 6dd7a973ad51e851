"""How far is read ahead of what was handed back, and how much of it goes in one request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .company import Company


class Ahead:
    """Counts what was taken and not handed back, and says how much is to be taken for the next request.

    Args:
        items: what is taken from. Of a list, whose pieces are there anyway, each request has up to `together` pieces
            once there are enough for all. Of anything else, `at_once` pieces are taken at most, answered or not.
        at_once: requests at a time.
        together: how many pieces one request can have.
        waiting: how many requests of a list may be answered and wait for their turn; by default `at_once`.
    """

    def __init__(self, items: Any, at_once: int, together: int = 1, waiting: int | None = None) -> None:
        self.most_requests = at_once
        self._taken = 0
        self._ended = False
        self._company: Company | None = None
        self._size, self._room = 1, at_once
        if isinstance(items, (Sequence, np.ndarray)):
            self._size = max(min(together, -(-len(items) // at_once)), 1)
            self._room = (at_once + (at_once if waiting is None else waiting)) * self._size
        else:
            self._company = Company(max(min(together, at_once // 2), 1), at_once)

    def next_size(self) -> int:
        """Give how many pieces the next request has; 0 while there is no room for them, and at the end."""
        size = self._company.size if self._company else self._size
        return 0 if self._ended or self._taken + size > self._room else size

    def took(self, pieces: int, *, ended: bool) -> None:
        """Note that so many were taken, and whether there are no more."""
        self._taken += pieces
        self._ended = ended

    def handed_back(self, pieces: int) -> None:
        """Note that so many were handed back."""
        self._taken -= pieces
        if self._company:
            self._company.answered(pieces)
