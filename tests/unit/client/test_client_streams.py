"""Many images: lazily, in bounded memory, several at a time, an error for the image that it belongs to."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import subprocess
import sys
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from slimserve import AsyncClient, Client, InvalidInput, ServerError, StreamItem
from slimserve.streams.company import Company
from slimserve.tasks.tensors import read_classifications
from slimserve.testing import Call, Delay, Model, Server, Status

TASKS = ("classify", "segment", "analyze")


def picture(number: int) -> np.ndarray:
    """uint8 [4,4,3] whose class is its number, by `numbered`."""
    return np.full((4, 4, 3), number % 250, np.uint8)


@pytest.fixture
def numbered() -> Iterator[Server]:
    """A model that finds the number of a picture."""

    def label_map(pixels: np.ndarray) -> np.ndarray:
        return np.full(pixels.shape[:2], pixels[0, 0, 0])

    names = [f"number {number}" for number in range(250)]
    with Server(
        Model(names, scores=lambda pixels: np.eye(250)[pixels[0, 0, 0]], label_map=label_map)
    ) as server:
        yield server


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


def our_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("slimserve_")]


def test_a_stream_that_is_left_cancels_its_calls_and_ends_its_threads(numbered: Server) -> None:
    is_held = iter([False] * 3 + [True] * 100)
    held, ended = threading.Semaphore(0), threading.Semaphore(0)

    def hold(call: Call) -> None:
        if next(is_held):
            held.release()
            call.wait(3600)
            ended.release()

    numbered.fail(hold, method="Predict")
    with Client(numbered.address, model="model") as client:
        stream = client.stream((picture(n) for n in range(100)), concurrency=5, ordered=False)
        for _ in range(3):
            next(stream)
        assert our_threads()
        assert all(held.acquire(timeout=20) for _ in range(5))
        del stream
        assert our_threads() == []
        assert all(ended.acquire(timeout=20) for _ in range(5))  # none waits for its answer any more
        numbered.heal()
        assert client.classify(picture(7)).top.id == 7


def test_a_stream_that_the_garbage_collector_ends_in_one_of_its_threads_leaves_none(
    numbered: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A generator in a cycle is closed in whichever thread the collector runs, its own included."""
    collected = threading.Event()

    def read_and_collect(*arguments: Any) -> Any:
        if is_dropped.is_set():
            gc.collect()
            collected.set()
        return read_classifications(*arguments)

    is_dropped = threading.Event()
    monkeypatch.setattr("slimserve.tasks.classify.read_classifications", read_and_collect)
    raised: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", raised.append)

    def drop(client: Client) -> None:
        cycle: dict[str, Any] = {}
        cycle["itself"], cycle["stream"] = cycle, client.stream(iter([picture(1)] * 9), concurrency=2)
        next(cycle["stream"])
        numbered.fail(Delay(0.2))

    gc.disable()
    try:
        with Client(numbered.address, model="model") as client:
            drop(client)
            is_dropped.set()
            assert collected.wait(20)
    finally:
        gc.enable()
    for thread in threading.enumerate():
        if thread.name in our_threads():
            thread.join(20)
    assert (our_threads(), raised) == ([], [])


def test_a_process_that_ends_with_a_stream_open_does_not_wait_for_its_answers(numbered: Server) -> None:
    program = """
import sys, numpy, slimserve
client = slimserve.Client(sys.argv[1], model="model")
stream = client.stream([numpy.zeros((4, 4, 3), numpy.uint8)] * 50, concurrency=4, ordered=False)
next(stream)
sys.exit("stopped")
"""
    is_first = iter([True])

    def hold(call: Call) -> None:
        if not next(is_first, False):
            call.wait(3600)

    numbered.fail(hold)
    command = [sys.executable, "-c", program, numbered.address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=40)
    assert (done.returncode, done.stderr) == (1, "stopped\n")


def test_what_the_iterator_raises_is_raised_and_nothing_is_left(numbered: Server) -> None:
    def images() -> Iterator[np.ndarray]:
        yield picture(0)
        raise LookupError("no more")

    numbered.fail(Delay(3600))
    with Client(numbered.address, model="model") as client:
        with pytest.raises(LookupError):
            list(client.stream(images(), concurrency=4))
        assert our_threads() == []


async def test_a_task_that_is_cancelled_leaves_no_task_and_no_call(numbered: Server) -> None:
    asked, ended = threading.Semaphore(0), threading.Semaphore(0)

    def hold(call: Call) -> None:
        asked.release()
        call.wait(3600)
        ended.release()

    numbered.fail(hold, method="Predict")
    async with AsyncClient(numbered.address, model="model") as client:
        before = asyncio.all_tasks()

        async def consume() -> None:
            async for _ in client.stream([picture(n) for n in range(100)], concurrency=3, task="segment"):
                pass

        task = asyncio.create_task(consume())
        for _ in range(3):
            assert await asyncio.to_thread(asked.acquire, timeout=20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        for _ in range(3):
            assert await asyncio.to_thread(ended.acquire, timeout=20)
        assert asyncio.all_tasks() == before


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


class TestCompany:
    """How many images travel in one request is measured, by a clock of the test's own."""

    def sizes(self, seconds: Callable[[int], float], images: int = 5000) -> list[int]:
        now = 0.0
        company = Company(4, 8, clock=lambda: now)
        sizes = []
        while images > 0:
            sizes.append(company.size)
            now += seconds(company.size)
            images -= company.size
            company.answered(company.size)
        return sizes

    def test_several_where_a_call_costs_more_than_an_image(self) -> None:
        sizes = self.sizes(lambda size: 0.001 + 0.0001 * size)
        assert sum(size == 4 for size in sizes) * 4 > 0.9 * 5000

    def test_one_where_an_image_costs_more_than_a_call(self) -> None:
        sizes = self.sizes(lambda size: 0.0001 + 0.1 * size)
        assert sum(size == 1 for size in sizes) > 0.9 * 5000

    def test_both_are_tried_again(self) -> None:
        busy = iter(range(100_000))
        sizes = self.sizes(lambda size: 0.001 if next(busy) < 1000 else 0.1 * size, images=20_000)
        assert sizes[500] == 4
        assert sizes[-1] == 1
