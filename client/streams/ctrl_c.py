"""Ctrl-C, and other signals whose handlers may raise, at places where that leaves no lock held.

Python calls a handler wherever the main thread is, also between the taking of a lock and the block that gives it back:
what waits for such a lock would wait for ever. gRPC's locks are shared with its threads, and with the end of a channel;
and a thread that is being started shares some with its starter.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the functions of signal look for names, and take ten times as long
import _thread
import contextlib
import signal
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")
Handler = Callable[[int, types.FrameType | None], object]

_A_MOMENT = 0.01  # seconds
_NUMBERS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGALRM", "SIGHUP") if hasattr(signal, name)
]


def before_ctrl_c(do: Callable[[], T]) -> T:
    """Do what takes no time; a signal that comes meanwhile is handled after it."""
    came: dict[int, Handler] = {}
    try:
        with _handlers(lambda usual: lambda number, _: came.setdefault(number, usual)):
            return do()
    finally:
        for number, usual in came.items():  # not raised anew, which event loops would count twice
            usual(number, sys._getframe())


def ctrl_c_between_locks() -> contextlib.AbstractContextManager[None]:
    """Within it, a signal that comes while a lock is taken or given back is handled a moment later."""
    return _handlers(_between_locks)


@contextlib.contextmanager
def _handlers(instead_of: Callable[[Handler], Handler]) -> Iterator[None]:
    """Put other handlers in the place of those of the main thread that are written in Python."""
    put: list[tuple[int, Handler, Handler]] = []
    inside = [True]

    def until_the_end(other: Handler, usual: Handler) -> Handler:
        """What is left in its place, where a handler raises while they are put back, is as good as the usual one."""
        return lambda number, frame: (other if inside else usual)(number, frame)

    if threading.current_thread() is threading.main_thread():
        for number in _NUMBERS:
            usual = _signal.getsignal(number)
            if callable(usual):
                put.append((number, usual, until_the_end(instead_of(usual), usual)))
    try:
        for number, _, other in put:
            _signal.signal(number, other)
        yield
    finally:
        inside.clear()
        for number, usual, other in put:
            if _signal.getsignal(number) is other:
                _signal.signal(number, usual)


def _between_locks(usual: Handler) -> Handler:
    def handle(number: int, frame: types.FrameType | None) -> None:
        if _is_at_a_lock(frame):
            _thread.start_new_thread(_come_again, (number,))  # not a Thread, which has locks
        else:
            usual(number, frame)

    return handle


def _is_at_a_lock(frame: types.FrameType | None) -> bool:
    waits = (threading.Condition.wait, threading.Condition.wait_for)
    steps = {
        step.__code__
        for step in vars(threading.Condition).values()
        if isinstance(step, types.FunctionType) and step not in waits
    }
    while frame and frame.f_code not in steps and frame.f_code.co_filename == threading.__file__:
        frame = frame.f_back
    return frame is not None and frame.f_code in steps


def _come_again(number: int) -> None:
    time.sleep(_A_MOMENT)
    if sys.platform == "win32":
        _thread.interrupt_main(signal.Signals(number))
    else:  # which ends a wait of the main thread, too
        signal.pthread_kill(threading.main_thread().ident or 0, number)
