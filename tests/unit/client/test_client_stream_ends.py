"""A stream that is left, cancelled or collected, or whose images end it: nothing of it stays."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any

import numpy as np
import pytest
from slimserve import AsyncClient, Client
from slimserve.tasks.tensors import read_classifications
from slimserve.testing import Call, Delay, Server

from tests.unit.client.numbered_pictures import picture


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


async def test_iterators_that_wait_for_images_keep_no_call_waiting(numbered: Server) -> None:
    async with AsyncClient(numbered.address, model="model") as client:
        queues: list[SimpleQueue[Any]] = [
            SimpleQueue() for _ in range(40)
        ]  # an event loop has 32 threads at most

        def images(queue: SimpleQueue[Any]) -> Iterator[np.ndarray]:
            while (image := queue.get()) is not None:
                yield image

        async def consume(queue: SimpleQueue[Any]) -> list[int]:
            return [item.answer.top.id async for item in client.stream(images(queue))]

        streams = [asyncio.create_task(consume(queue)) for queue in queues]
        try:
            await asyncio.sleep(0.1)
            assert (await asyncio.wait_for(client.classify(picture(7)), 20)).top.id == 7
        finally:
            for number, queue in enumerate(queues):
                queue.put(picture(number))
                queue.put(None)
        assert await asyncio.gather(*streams) == [[number] for number in range(40)]


def test_a_process_does_not_wait_for_an_iterator_whose_stream_was_left(numbered: Server) -> None:
    program = """
import asyncio, queue, sys, slimserve
async def consume(client):
    async for item in client.stream(iter(queue.SimpleQueue().get, None)):
        pass
async def main():
    async with slimserve.AsyncClient(sys.argv[1], model="model") as client:
        await asyncio.wait_for(consume(client), 0.2)
asyncio.run(main())
"""
    command = [sys.executable, "-c", program, numbered.address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=40)
    assert done.stderr.endswith("TimeoutError\n")
