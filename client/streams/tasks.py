"""Work done in asyncio's tasks, its results handed back in the caller's."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import itertools
import threading
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Sequence,
)
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, Generic, TypeVar, cast

from .ahead import Ahead
from .ctrl_c import before_ctrl_c

T = TypeVar("T")
R = TypeVar("R")

_END = object()
_COMPANY = 0.01  # seconds that images wait for others to travel with


async def each(
    work: Callable[[list[tuple[int, T]]], Coroutine[Any, Any, Sequence[R]]],
    items: Iterable[T] | AsyncIterable[T],
    ahead: Ahead,
    *,
    ordered: bool,
) -> AsyncGenerator[R, None]:
    """Do as `threads.each`; when it ends early, the tasks under way are cancelled and waited for.

    Results are handed back while the next item is waited for: it may depend on them.
    """
    slots, room = asyncio.Semaphore(ahead.most_requests), asyncio.Event()
    under_way: dict[asyncio.Task[Sequence[R]], None] = {}  # a set, in order
    ended: asyncio.Queue[asyncio.Task[Any]] = asyncio.Queue()

    async def work_in_turn(group: list[tuple[int, T]]) -> Sequence[R]:
        async with slots:
            return await work(group)

    def begin(group: list[tuple[int, T]]) -> None:
        task = asyncio.create_task(work_in_turn(group))
        under_way[task] = None
        task.add_done_callback(ended.put_nowait)

    waiting: set[asyncio.Task[Sequence[R]]] = set()  # ended, behind one that has not

    def to_hand_back() -> asyncio.Task[Sequence[R]] | None:
        first = next(iter(under_way if ordered else waiting), None)
        return first if first in waiting else None

    feeder = asyncio.create_task(_feed(items, ahead, room, begin))
    feeder.add_done_callback(ended.put_nowait)
    try:
        while under_way or not feeder.done():
            task = await ended.get()
            if task is feeder:
                feeder.result()
                continue
            waiting.add(task)
            while ready := to_hand_back():
                waiting.remove(ready)
                del under_way[ready]
                for result in ready.result():
                    ahead.handed_back(1)
                    room.set()
                    await asyncio.sleep(0)  # the next request begins before the caller goes on
                    yield result
        feeder.result()
    finally:
        tasks = [feeder, *under_way]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _feed(
    items: Iterable[T] | AsyncIterable[T],
    ahead: Ahead,
    room: asyncio.Event,
    begin: Callable[[list[tuple[int, T]]], None],
) -> None:
    """Read the items, as far as there is room, and begin with each group."""
    place, is_last = itertools.count(), False
    async with contextlib.aclosing(_Reader(items)) as reader:
        while not is_last:
            while not (size := ahead.next_size()):
                room.clear()
                await room.wait()
            taken, is_last = await reader.take(size)
            ahead.took(len(taken), ended=is_last)
            if taken:
                begin([(next(place), item) for item in taken])


class _Reader(Generic[T]):
    """Reads groups of items without blocking the event loop: an iterator, which may block, in a thread of its own."""

    def __init__(self, items: Iterable[T] | AsyncIterable[T]) -> None:
        self._there = iter(items) if isinstance(items, Sequence) else None
        self._items = _read(items)
        self._next: asyncio.Future[T] | None = None  # an item that others did not wait for

    async def take(self, size: int) -> tuple[list[T], bool]:
        """Take so many, fewer where the next does not come soon; and tell whether there are no more."""
        if self._there is not None:
            taken = list(itertools.islice(self._there, size))
            return taken, len(taken) < size
        taken = []
        while len(taken) < size:
            if self._next is None:
                self._next = asyncio.ensure_future(anext(self._items, cast("T", _END)))
            if taken:
                await asyncio.wait({self._next}, timeout=_COMPANY)
                if not self._next.done():
                    return taken, False
            item = await self._next
            self._next = None
            if item is _END:
                return taken, True
            taken.append(item)
        return taken, False

    async def aclose(self) -> None:
        """End what is being read."""
        if self._next:
            self._next.cancel()
            await asyncio.gather(self._next, return_exceptions=True)
        await self._items.aclose()


async def _read(items: Iterable[T] | AsyncIterable[T]) -> AsyncGenerator[T, None]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
        return
    steps: SimpleQueue[Future[T] | None] = SimpleQueue()
    # Not of the event loop's threads: an iterator that waits, as for a camera, would keep them from the calls and
    # the event loop from its end.
    run = functools.partial(contextvars.copy_context().run, _step, iter(items), steps)
    before_ctrl_c(threading.Thread(target=run, name="slimserve reader", daemon=True).start)
    try:
        while True:
            step: Future[T] = Future()
            steps.put(step)
            item = await asyncio.wrap_future(step)
            if item is _END:
                return
            yield item
    finally:
        steps.put(None)


def _step(iterator: Iterator[T], steps: SimpleQueue[Future[T] | None]) -> None:
    """Read an item for each step that is wanted."""
    while step := steps.get():
        if step.set_running_or_notify_cancel():
            try:
                step.set_result(next(iterator, cast("T", _END)))
            except BaseException as error:
                step.set_exception(error)
        del step  # whose item nobody may want any more
