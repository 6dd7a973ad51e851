"""Many images: lazily, in bounded memory, several at a time, an error for the image that it belongs to."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from slimserve import AsyncClient, Client, InvalidInput, ServerError, StreamItem
from slimserve.testing import Call, Delay, Server, Status

from tests.unit.client.numbered_pictures import picture

TASKS = ("classify", "segment", "analyze")


def number_of(item: StreamItem[Any]) -> int:
    answer = item.answer
    regions = getattr(answer, "segmentation", answer)
    return int(regions.label_map[0, 0]) if hasattr(regions, "label_map") else answer.top.id


def collect(address: str, images: Any, **options: Any) -> list[StreamItem[Any]]:
    with Client(address, model="model") as client:
        return list(client.stream(images, **options))


def collect_async(address: str, images: Any, **options: Any) -> list[StreamItem[Any]]:
    async def main() -> list[StreamItem[Any]]:
        async with AsyncClient(address, model="model") as client:
            return [item async for item in client.stream(images, **options)]

    return asyncio.run(main())


both = pytest.mark.parametrize("collect", [collect, collect_async], ids=["sync", "async"])
Collect = Callable[..., list[StreamItem[Any]]]


@both
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("ordered", [True, False], ids=["ordered", "as_answered"])
def test_each_image_has_its_answer(numbered: Server, collect: Collect, task: str, ordered: bool) -> None:
    for images in ([picture(n) for n in range(30)], (picture(n) for n in range(30))):
        items = collect(numbered.address, images, task=task, ordered=ordered, concurrency=4)
        assert all(number_of(item) == item.index == item.image[0, 0, 0] for item in items)
        indices = [item.index for item in items]
        assert (indices if ordered else sorted(indices)) == list(range(30))


@both
@pytest.mark.parametrize("task", TASKS)
def test_an_error_belongs_to_its_image(numbered: Server, collect: Collect, task: str) -> None:
    bad = {3: b"II*\0", 7: "gone.jpg", 9: np.zeros((4, 4), np.uint8), 12: b"\x89PNG\r\n\x1a\nno more"}
    images = [bad.get(n, picture(n)) for n in range(20)]
    items = collect(numbered.address, images, task=task, concurrency=2)
    assert {item.index for item in items if item.error} == set(bad)
    assert [number_of(item) for item in items if not item.error] == [n for n in range(20) if n not in bad]
    for item in items:
        if item.error:
            assert isinstance(item.error, InvalidInput)
            assert f"images[{item.index}]" in str(item.error)
            with pytest.raises(InvalidInput):
                _ = item.answer


@both
def test_a_server_that_fails_some_calls_fails_their_images_alone(numbered: Server, collect: Collect) -> None:
    count = iter(range(100))

    def lose_some(call: Call) -> None:
        if next(count) % 5 == 2:
            Status(grpc.StatusCode.DATA_LOSS, "lost")(call)

    numbered.fail(lose_some, method="Predict")
    items = collect(numbered.address, (picture(n) for n in range(20)), concurrency=3)
    assert sum(isinstance(item.error, ServerError) for item in items) == 4
    assert all(number_of(item) == item.index for item in items if not item.error)


@both
def test_twenty_calls_eight_at_a_time_take_the_time_of_three(collect: Collect) -> None:
    """Calls are let go in rounds of as many as come: each round is the time of one call."""
    rounds: list[int] = []
    waiting: list[threading.Event] = []
    lock = threading.Lock()

    def hold(call: Call) -> None:
        gate = threading.Event()
        with lock:
            waiting.append(gate)
            go = len(waiting) == (8 if sum(rounds) + 8 <= 20 else 20 - sum(rounds))
            if go:
                rounds.append(len(waiting))
                for each in waiting:
                    each.set()
                waiting.clear()
        call.wait(gate)

    with Server() as server:
        server.fail(hold, signature="classify")
        items = collect(server.address, (picture(n) for n in range(20)), concurrency=8)
        assert [item.index for item in items] == list(range(20))
        assert server.most_at_once == 8
    assert rounds == [8, 8, 4]


def test_an_iterator_is_read_no_further_than_concurrency_ahead(numbered: Server) -> None:
    taken = 0

    def images() -> Iterator[np.ndarray]:
        nonlocal taken
        for number in range(1000):
            taken += 1
            yield picture(number)

    with Client(numbered.address, model="model") as client:
        stream = client.stream(images(), concurrency=4)
        assert taken == 0
        for item in stream:
            assert taken <= item.index + 1 + 4
            if item.index == 50:
                break


async def test_an_asynchronous_iterator_is_read_no_further(numbered: Server) -> None:
    taken = 0

    async def images() -> AsyncIterator[np.ndarray]:
        nonlocal taken
        for number in range(1000):
            taken += 1
            yield picture(number)

    async with (
        AsyncClient(numbered.address, model="model") as client,
        contextlib.aclosing(client.stream(images(), concurrency=4)) as stream,
    ):
        async for item in stream:
            assert number_of(item) == item.index
            assert taken <= item.index + 1 + 4
            if item.index == 50:
                break


@pytest.mark.parametrize("ordered", [True, False], ids=["ordered", "as_answered"])
@pytest.mark.parametrize("outstanding", [1, 2])
async def test_an_answer_does_not_wait_for_an_image_that_waits_for_it(
    numbered: Server, ordered: bool, outstanding: int
) -> None:
    """As where each image is sent by someone who has seen the answer to the one before."""
    sent: asyncio.Queue[np.ndarray] = asyncio.Queue()

    async def images() -> AsyncIterator[np.ndarray]:
        while True:
            yield await sent.get()

    async def answer() -> None:
        stream = client.stream(images(), concurrency=8, ordered=ordered)
        async with contextlib.aclosing(stream) as items:
            numbers = iter(range(180))  # more than after which several images are tried in one request
            for _ in range(outstanding):
                sent.put_nowait(picture(next(numbers)))
            async for item in items:
                assert number_of(item) == item.index
                if item.index == 170:
                    return
                sent.put_nowait(picture(next(numbers)))

    async with AsyncClient(numbered.address, model="model") as client:
        await asyncio.wait_for(answer(), 60)
        assert len(asyncio.all_tasks()) == 1


def test_items_that_are_handed_out_are_forgotten(numbered: Server) -> None:
    seen: list[weakref.ref[Any]] = []
    with Client(numbered.address, model="model") as client:
        for item in client.stream((picture(n) for n in range(8)), task="segment", concurrency=2):
            seen.append(weakref.ref(item.answer))
            del item
            gc.collect()
            assert sum(ref() is not None for ref in seen) <= 2


def test_a_list_is_answered_two_at_a_time_for_each_replica(numbered: Server) -> None:
    with Server() as other, Client([numbered.address, other.address], model="model") as client:
        for server in (numbered, other):
            server.fail(Delay(0.05), signature="segment")
        assert len(client.segment([picture(n) for n in range(16)])) == 16
        assert 2 <= max(numbered.most_at_once, other.most_at_once) <= 4
        assert len(numbered.calls) > 4
        assert len(other.calls) > 4


def test_the_first_image_of_a_list_that_fails_is_named(numbered: Server) -> None:
    images = [picture(0), b"junk", picture(2), b"more junk"]
    with Client(numbered.address, model="model") as client, pytest.raises(InvalidInput, match=r"images\[1\]"):
        client.segment(images)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"task": "detect"}, "there is no task 'detect'"),
        ({"concurrency": 0}, "concurrency is a whole number, at least 1, not 0"),
        ({"concurrency": "8"}, "not '8'"),
        ({"tile": 512}, "tile, overlap, classes and groups are of the task 'segment'"),
        ({"task": "segment", "classes": "sky"}, "classes must be a list"),
    ],
)
def test_arguments_that_cannot_be_are_refused_at_once(options: dict[str, Any], words: str) -> None:
    with Client("localhost:1", model="model") as client, pytest.raises(InvalidInput, match=words):
        client.stream([], **options)


def test_large_images_are_cut_and_their_tiles_sent_at_once(numbered: Server) -> None:
    numbered.fail(Delay(0.1), signature="segment")
    images = [np.full((64, 600, 3), number, np.uint8) for number in range(3)]
    items = collect(numbered.address, images, task="segment", tile=320, overlap=64, concurrency=3)
    assert [number_of(item) for item in items] == [0, 1, 2]
    assert 1 < numbered.most_at_once <= 3
