"""Work done in asyncio's tasks, its results handed back in the caller's."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Coroutine,
    Iterable,
    Sequence,
)
from typing import Any, TypeVar, cast

from .ahead import Ahead

T = TypeVar("T")
R = TypeVar("R")

_END = object()


async def each(
    work: Callable[[list[tuple[int, T]]], Coroutine[Any, Any, Sequence[R]]],
    items: Iterable[T] | AsyncIterable[T],
    ahead: Ahead,
    *,
    ordered: bool,
) -> AsyncGenerator[R, None]:
    """Do as `threads.each`; when it ends early, the tasks under way are cancelled and waited for."""
    iterator, place = _read(items), itertools.count()
    slots = asyncio.Semaphore(ahead.most_requests)
    under_way: dict[asyncio.Task[Sequence[R]], None] = {}  # a set, in order

    async def work_in_turn(group: list[tuple[int, T]]) -> Sequence[R]:
        async with slots:
            return await work(group)

    async def begin() -> None:
        while size := ahead.next_size():
            group: list[tuple[int, T]] = []
            while len(group) < size and (item := await anext(iterator, _END)) is not _END:
                group.append((next(place), cast("T", item)))
            ahead.took(len(group), size)
            if group:
                under_way[asyncio.create_task(work_in_turn(group))] = None

    try:
        await begin()
        while under_way:
            waited_for = [next(iter(under_way))] if ordered else under_way
            done, _ = await asyncio.wait(waited_for, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                results = task.result()
                del under_way[task]
                for result in results:
                    ahead.handed_back(1)
                    await begin()
                    yield result
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


async def _read(items: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[T]:
    """Read any iterable without blocking the event loop: an iterator, which may block, in a thread."""
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    elif isinstance(items, Sequence):
        for item in items:
            yield item
    else:
        iterator = iter(items)
        while (item := await asyncio.to_thread(next, iterator, _END)) is not _END:  # type: ignore[arg-type]
            yield item
