"""Ctrl-C at places where it leaves no lock held: what waits for such a lock would wait for ever.

Python may raise KeyboardInterrupt between the taking of a lock and the block that gives it back. gRPC's locks are
shared with its threads, and with the end of a channel.
"""

from __future__ import annotations

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

_A_MOMENT = 0.01  # seconds


def before_ctrl_c(do: Callable[[], T]) -> T:
    """Do it; where Ctrl-C comes meanwhile, it is raised after it.

    A thread that is being started shares locks with its starter, which KeyboardInterrupt would leave held: the new
    thread waits for ever then, and what waits for the thread too.
    """
    usual = _usual()
    if not usual:
        return do()
    came: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        done = do()
    finally:
        signal.signal(signal.SIGINT, usual)
    if came:
        raise KeyboardInterrupt
    return done


@contextlib.contextmanager
def ctrl_c_between_locks() -> Iterator[None]:
    """Raise Ctrl-C a moment later where it comes while a lock is taken or given back."""
    usual = _usual()
    if usual is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, _raise_between_locks)
    try:
        yield
    finally:
        if _usual() is _raise_between_locks:
            signal.signal(signal.SIGINT, usual)


def _usual() -> Callable[[int, types.FrameType | None], object] | None:
    """Give what handles Ctrl-C in this thread; None where that is not what Python does by itself, or what this does."""
    if threading.current_thread() is not threading.main_thread():
        return None
    handlers = (signal.default_int_handler, _raise_between_locks)
    return next((handler for handler in handlers if signal.getsignal(signal.SIGINT) is handler), None)


def _raise_between_locks(number: int, frame: types.FrameType | None) -> None:
    waits = (threading.Condition.wait, threading.Condition.wait_for)
    steps = {
        step.__code__
        for step in vars(threading.Condition).values()
        if isinstance(step, types.FunctionType) and step not in waits
    }
    while frame and frame.f_code not in steps and frame.f_code.co_filename == threading.__file__:
        frame = frame.f_back
    if frame and frame.f_code in steps:
        _thread.start_new_thread(_come_again, ())  # not a Thread, which has locks
    else:
        signal.default_int_handler(number, frame)


def _come_again() -> None:
    time.sleep(_A_MOMENT)
    if sys.platform == "win32":
        _thread.interrupt_main()
    else:  # which ends a wait of the main thread, too
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
