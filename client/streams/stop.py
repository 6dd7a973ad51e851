"""The end of what threads have under way: calls are cancelled, pauses end."""

from __future__ import annotations

import threading
from typing import Any, Protocol

from .ctrl_c import before_ctrl_c


class Stopped(Exception):
    """What was under way is not wanted any more; nobody sees this but the threads that it ends."""


class _Ends(Protocol):
    def cancel(self) -> object: ...


class Stop:
    """Threads wait by it, so that another can end their waiting; `within` another, it ends with that one."""

    def __init__(self, within: Stop | None = None) -> None:
        self._event = threading.Event()
        self._lock = threading.RLock()  # the garbage collector may end a dropped stream under it
        self._under_way: set[_Ends] = set()
        self._within = within
        if within:
            within.add(self)

    def add(self, call: _Ends) -> None:
        """Cancel this too when the end comes; at once, where it has come."""
        with self._lock:
            if not self._event.is_set():
                self._under_way.add(call)
                return
        call.cancel()

    def remove(self, call: _Ends) -> None:
        """Forget it: it has ended by itself."""
        with self._lock:
            self._under_way.discard(call)

    def check(self) -> None:
        """Raise Stopped where the end has come."""
        if self._event.is_set():
            raise Stopped

    def pause(self, seconds: float) -> None:
        """Wait. Raises Stopped when the end comes."""
        if self._event.wait(seconds):
            raise Stopped

    def outcome(self, call: Any) -> Any:
        """Wait for the result of a call, a `grpc.Future`. Raises what it raises, and Stopped when the end comes."""
        self.add(call)
        try:
            return call.result()
        except BaseException:
            self.check()
            raise
        finally:
            self.remove(call)

    def cancel(self) -> None:
        """End everything."""
        before_ctrl_c(self._cancel)

    def _cancel(self) -> None:
        with self._lock:
            self._event.set()
            under_way, self._under_way = self._under_way, set()
        for call in under_way:
            call.cancel()
        if self._within:
            self._within.remove(self)
