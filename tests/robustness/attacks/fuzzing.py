"""Run a check on many generated inputs; a failure says the seed, the number and the bytes that fail."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any


def fuzz(make: Callable[[random.Random], Any], check: Callable[[Any], None], count: int, seed: int) -> None:
    """Call `check` with `count` inputs, each decided by the seed and its number alone."""
    for number in range(count):
        made = make(random.Random(f"{seed} {number}"))
        try:
            check(made)
        except BaseException as error:
            error.add_note(f"seed {seed}, number {number}: {made!r}")
            raise
