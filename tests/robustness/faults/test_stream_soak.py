"""A stream of very many small images through three replicas: memory, throughput, and errors in their places."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
from slimserve import Client, InvalidInput
from slimserve.wire import messages
from slimserve.wire.encoding import tensor_of_images

from tests.support.memory import resident
from tests.support.model_servers import servers

IMAGES = 100_000
CONCURRENCY = 8
PICTURE = np.zeros((16, 16, 3), np.uint8)


def images(count: int) -> Iterator[np.ndarray | bytes]:
    """Pictures, and in each place that 997 divides what is none."""
    for number in range(count):
        yield b"II*\0" if number % 997 == 0 else PICTURE


@pytest.mark.soak
@pytest.mark.parametrize("ordered", [True, False], ids=["ordered", "as_answered"])
def test_memory_is_flat_and_errors_stand_in_their_places(ordered: bool) -> None:
    early = 0
    times_seen = np.full(
        IMAGES, 7, np.uint8
    )  # resident before anything is counted, as a list of places would not be
    times_seen[:] = 0
    with servers(3) as addresses, Client(addresses, model="model") as client:
        stream = client.stream(images(IMAGES), concurrency=CONCURRENCY, ordered=ordered)
        for seen, item in enumerate(stream):
            times_seen[item.index] += 1
            assert not ordered or item.index == seen
            if item.index % 997 == 0:
                assert isinstance(item.error, InvalidInput)
            else:
                assert item.answer.top.name == "cat"
            if seen == IMAGES // 10:
                early = resident()
        late = resident()
    assert (times_seen == 1).all()
    assert late < 1.05 * early


@pytest.mark.soak
def test_a_stream_is_as_fast_as_calls_without_a_client() -> None:
    """In turns, on three servers, with the same number of calls or images under way."""
    request = messages.predict_request(
        messages.Servable("model"), "classify", {"images": tensor_of_images([PICTURE])}
    )

    def rate(work: Callable[[int], object], count: int = 4000) -> float:
        begun = time.perf_counter()
        work(count)
        return count / (time.perf_counter() - begun)

    with servers(3) as addresses, Client(addresses, model="model") as client:
        methods = [grpc.insecure_channel(address).unary_unary(messages.PREDICT) for address in addresses]
        turn = itertools.cycle(methods)

        def call(number: int) -> bytes:
            answer: bytes = next(turn)(request, timeout=60)
            return answer

        def raw(count: int) -> None:
            with ThreadPoolExecutor(CONCURRENCY) as pool:
                assert all(pool.map(call, range(count)))

        def stream(count: int) -> None:
            items = client.stream((PICTURE for _ in range(count)), concurrency=CONCURRENCY)
            assert all(item.answer for item in items)

        ratios = [rate(stream) / rate(raw) for _ in range(5)]
    print("stream to raw calls:", [f"{ratio:.2f}" for ratio in ratios])
    assert statistics.median(ratios) >= 0.95
