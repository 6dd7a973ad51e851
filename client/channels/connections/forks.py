"""A forked process makes connections of its own.

Those it inherited belong to the process that it was forked from: whoever writes to one, or closes it, breaks that one's
calls. So they are neither used nor ended.

gRPC prepares for a fork only where no thread is in it, and else the forked process may crash. A call that blocks is
the application's own. Calls that run in the background, which it cannot know of, are waited for here.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from typing import Any, Protocol

_LONGEST_WAIT = 0.5  # seconds that a fork waits


class Driver(Protocol):
    """What has channels."""

    def after_fork(self) -> object:
        """Begin anew in the forked process; give what was inherited."""


_drivers: weakref.WeakSet[Driver] = weakref.WeakSet()
_inherited: list[object] = []  # for good: what is dropped is ended


def begin_anew_after_fork(driver: Driver) -> None:
    """Have a driver told, as long as it lives, when its process was forked."""
    _drivers.add(driver)


class _Background:
    """Counts the calls that run in the background. No call begins while the process is forked."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running = 0

    def begin(self, start: Callable[[], Any]) -> Any:
        with self._changed:
            call = start()
            self._running += 1
        call.add_done_callback(self._ended)
        return call

    def _ended(self, _: Any) -> None:
        with self._changed:
            self._running -= 1
            self._changed.notify_all()

    def pause(self) -> None:
        self._changed.acquire()
        self._changed.wait_for(lambda: self._running == 0, _LONGEST_WAIT)

    def go_on(self) -> None:
        self._changed.release()


_background = _Background()


def in_background(start: Callable[[], Any]) -> Any:
    """Start a gRPC future that may outlast the call that it belongs to; return it."""
    return _background.begin(start)


def _after_fork() -> None:
    global _background
    _background = _Background()
    _inherited.extend(driver.after_fork() for driver in list(_drivers))


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(
        before=lambda: _background.pause(),
        after_in_parent=lambda: _background.go_on(),
        after_in_child=_after_fork,
    )
