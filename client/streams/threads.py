"""Work done in threads, its results handed back in the caller's."""

from __future__ import annotations

import contextlib
import itertools
import logging
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from .ahead import Ahead
from .ctrl_c import before_ctrl_c

T = TypeVar("T")
R = TypeVar("R")

_PATIENCE = 10.0  # seconds that threads have to end, where they are not wanted any more

# Seconds between two looks whether Ctrl-C came. Python sees it at once but where it comes while the main thread hands
# the interpreter's lock over, on its way into a wait: that wait would not end.
_LOOK = 0.2

log = logging.getLogger("slimserve")


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
    closed or by Ctrl-C, `end` is called to end what is under way. No thread is left then,
    but one that has read or prepared an image for 10 s since; it ends after that, and the log says so.
    """
    iterator = enumerate(items)
    under_way: dict[int, None] = {}  # by the place of a group's first item: a set, in order
    waiting: dict[int, Sequence[R] | BaseException] = {}  # done, behind one that is not
    team = _Team(work, ahead.most_requests)

    def begin() -> None:
        while size := ahead.next_size():
            group = list(itertools.islice(iterator, size))
            ahead.took(len(group), ended=len(group) < size)
            if group:
                under_way[group[0][0]] = None
                team.submit(group, len(under_way))

    def next_done() -> Sequence[R]:
        first = next(iter(under_way)) if ordered else None
        while first not in waiting:
            try:
                place, outcome = team.done.get(timeout=_LOOK)
            except Empty:
                continue
            waiting[place] = outcome
            first = first if ordered else place
        del under_way[first]
        outcome = waiting.pop(first)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    try:
        begin()
        while under_way:
            for result in next_done():
                ahead.handed_back(1)
                begin()
                yield result
    except BaseException:
        if not sys.is_finalizing():  # when nothing runs any more that could be ended, or waited for
            team.forget()
            end()
        raise
    finally:
        if not sys.is_finalizing():
            team.leave()


class _Team(Generic[T, R]):
    """Threads that do the work for one group after the other.

    An executor of `concurrent.futures` has the interpreter wait, when it ends, for all that was submitted, and its
    threads cannot leave it: the garbage collector may close a generator in whichever thread it runs.
    """

    def __init__(self, work: Callable[[list[tuple[int, T]]], Sequence[R]], most: int) -> None:
        self._work = work
        self._most = most
        self._threads: list[threading.Thread] = []
        # Queues of C: Ctrl-C and the garbage collector leave no lock of theirs held.
        self._to_do: SimpleQueue[list[tuple[int, T]] | None] = SimpleQueue()
        self.done: SimpleQueue[tuple[int, Sequence[R] | BaseException]] = SimpleQueue()
        """The place of a group's first item, and its results, or what was raised."""

    def submit(self, group: list[tuple[int, T]], under_way: int) -> None:
        """Have the work done for a group, one of so many under way."""
        self._to_do.put(group)
        if len(self._threads) < min(self._most, under_way):
            before_ctrl_c(self._start)

    def forget(self) -> None:
        """Do no work for groups that have waited for a thread."""
        with contextlib.suppress(Empty):
            while True:
                self._to_do.get_nowait()

    def leave(self) -> None:
        """End the threads, and wait for it."""
        until = time.monotonic() + _PATIENCE
        others = [thread for thread in self._threads if thread is not threading.current_thread()]
        for _ in self._threads:
            self._to_do.put(None)
        for thread in others:
            thread.join(max(until - time.monotonic(), 0.0))
        if left := sum(thread.is_alive() for thread in others):
            log.info("%d threads still read or prepare an image, and end after that", left)

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name=f"slimserve_{len(self._threads)}", daemon=True)
        thread.start()
        self._threads.append(thread)

    def _run(self) -> None:
        while group := self._to_do.get():
            place = group[0][0]
            try:
                self.done.put((place, self._work(group)))
            except BaseException as error:
                self.done.put((place, error))
            del group  # whose images nobody may want any more
