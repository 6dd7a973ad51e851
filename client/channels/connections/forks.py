"""A forked process makes connections of its own.

Those it inherited belong to the process that it was forked from: whoever writes to one, or closes it, breaks that one's
calls. So they are neither used nor ended.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Driver(Protocol):
    """What has channels."""

    def after_fork(self) -> object:
        """Begin anew in the forked process; give what was inherited."""


_drivers: weakref.WeakSet[Driver] = weakref.WeakSet()
_inherited: list[object] = []  # for good: what is dropped is ended


def begin_anew_after_fork(driver: Driver) -> None:
    """Have a driver told, as long as it lives, when its process was forked."""
    _drivers.add(driver)


def _after_fork() -> None:
    _inherited.extend(driver.after_fork() for driver in list(_drivers))


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)
