"""Work done in threads, its results handed back in the caller's."""

from __future__ import annotations

import itertools
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
    done: SimpleQueue[Future[Sequence[R]]] = SimpleQueue()
    with ThreadPoolExecutor(ahead.most_requests, "slimserve") as pool:

        def begin() -> None:
            while size := ahead.next_size():
                group = list(itertools.islice(iterator, size))
                ahead.took(len(group), size)
                if group:
                    future = pool.submit(work, group)
                    under_way[future] = None
                    if not ordered:
                        future.add_done_callback(done.put)

        try:
            begin()
            while under_way:
                future = next(iter(under_way)) if ordered else done.get()
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
