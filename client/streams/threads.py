"""Work done in threads, its results handed back in the caller's."""

from __future__ import annotations

import functools
import itertools
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

from .ahead import Ahead

T = TypeVar("T")
R = TypeVar("R")


def each(
    work: Callable[[list[tuple[int, T]]], Sequence[R]],
    items: Iterable[T],
    ahead: Ahead,
    *,
    ordered: bool,
    end: Callable[[], object],
) -> Generator[R, None, None]:
    """Do the work for groups of the items, as `ahead` says, and give the results one by one, in order or as they come.

    The items are read in the caller's thread. `work` is given a group, items with their places from 0, and gives a
    result for each; what it raises ends everything, and is raised here. When it ends early, as a generator that is
    closed or by Ctrl-C, `end` is called to end what is under way, and no thread is left.
    """
    iterator = enumerate(items)
    under_way: dict[Future[Sequence[R]], None] = {}  # a set, in order
    # Ctrl-C may stop the waiting for this queue, which is of C, and no lock stays held, as that of a Future would.
    done: SimpleQueue[Future[Sequence[R]]] = SimpleQueue()
    waiting: set[Future[Sequence[R]]] = set()  # done, behind one that is not
    with ThreadPoolExecutor(ahead.most_requests, "slimserve") as pool:

        def submit(group: list[tuple[int, T]]) -> None:
            future = pool.submit(work, group)
            under_way[future] = None
            future.add_done_callback(done.put)

        def begin() -> None:
            while size := ahead.next_size():
                group = list(itertools.islice(iterator, size))
                ahead.took(len(group), size)
                if group:
                    _before_ctrl_c(functools.partial(submit, group))

        def next_done() -> Future[Sequence[R]]:
            if not ordered:
                return done.get()
            first = next(iter(under_way))
            while first not in waiting:
                waiting.add(done.get())
            waiting.remove(first)
            return first

        try:
            begin()
            while under_way:
                future = next_done()
                results = future.result()
                del under_way[future]
                for result in results:
                    ahead.handed_back(1)
                    begin()
                    yield result
        except BaseException:
            for future in under_way:
                future.cancel()
            end()
            raise


def _before_ctrl_c(do: Callable[[], None]) -> None:
    """Do it; where Ctrl-C comes meanwhile, it is raised after it.

    A thread that is being started shares locks with its starter, which KeyboardInterrupt would leave held: the new
    thread waits for ever then, and what waits for the thread too.
    """
    usual = signal.default_int_handler
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not usual
    ):
        do()
        return
    came: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        do()
    finally:
        signal.signal(signal.SIGINT, usual)
    if came:
        raise KeyboardInterrupt
