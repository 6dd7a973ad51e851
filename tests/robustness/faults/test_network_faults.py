"""What a network does to calls under way: each ends in time with the right error, or succeeds by a retry.

The counting model tells how often the server ran a call. Times are those of the client's promise, its deadline,
with seconds to spare for a busy machine.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from slimserve import DeadlineExceeded, Unavailable

from tests.robustness.faults.conftest import Server, inputs
from tests.robustness.faults.proxy import Proxy

Connect = Callable[..., Any]
MEGABYTE = 1 << 20
LARGE = 8 * MEGABYTE
TO_SPARE = 4.0


@contextmanager
def ends_within(seconds: float) -> Iterator[None]:
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < seconds + TO_SPARE


async def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.02)


async def test_a_slow_path_is_no_fault(connect: Connect, proxy: Proxy, counting_server: Server) -> None:
    proxy.requests.delay = proxy.answers.delay = 0.2
    before = counting_server.count()
    answer = await connect(proxy.address).predict(inputs(MEGABYTE))
    assert len(answer["payload"]) == MEGABYTE
    assert counting_server.count() == before + 1


async def test_a_path_slower_than_the_deadline_ends_with_it(connect: Connect, proxy: Proxy) -> None:
    client = connect(proxy.address)
    await client.predict(inputs(1))
    proxy.answers.delay = 20.0
    with ends_within(0.5), pytest.raises(DeadlineExceeded):
        await client.predict(inputs(1), timeout=0.5)


async def test_a_black_hole_under_an_open_connection_ends_calls_with_their_deadline(
    connect: Connect, proxy: Proxy
) -> None:
    client = connect(proxy.address)
    await client.predict(inputs(1))
    proxy.stall()
    with ends_within(0.5), pytest.raises(DeadlineExceeded):
        await client.predict(inputs(1), timeout=0.5)
    proxy.stall(False)
    assert len((await client.predict(inputs(3)))["payload"]) == 3


async def test_a_black_hole_at_connection_ends_calls_with_their_deadline(
    connect: Connect, proxy: Proxy
) -> None:
    proxy.stall()
    with ends_within(0.5), pytest.raises((DeadlineExceeded, Unavailable)):
        await connect(proxy.address).predict(inputs(1), timeout=0.5)


async def test_a_black_hole_at_connection_ends_calls_after_the_connect_timeout(
    connect: Connect, proxy: Proxy, counting_server: Server
) -> None:
    proxy.stall()
    before = counting_server.count()
    with ends_within(1.0 + 3.0), pytest.raises(Unavailable, match="no answer from"):
        await connect(proxy.address, connect_timeout=1.0).predict(inputs(1))
    assert counting_server.count() == before


async def test_waiting_behind_a_black_hole_ends_in_time(connect: Connect, proxy: Proxy) -> None:
    proxy.stall()
    with ends_within(1.0), pytest.raises(Unavailable, match=r"not ready after 1 s"):
        await connect(proxy.address).wait_until_ready(1.0)


async def test_an_answer_cut_in_the_middle_is_not_asked_for_again(
    connect: Connect, proxy: Proxy, counting_server: Server
) -> None:
    client = connect(proxy.address)
    await client.predict(inputs(1))
    before = counting_server.count()
    proxy.answers.reset_after = MEGABYTE
    with ends_within(5.0), pytest.raises(Unavailable):
        await client.predict(inputs(LARGE))
    assert counting_server.count() == before + 1
    assert len((await client.predict(inputs(LARGE)))["payload"]) == LARGE


async def test_an_answer_that_stops_in_the_middle_ends_with_the_deadline(
    connect: Connect, proxy: Proxy, counting_server: Server
) -> None:
    client = connect(proxy.address)
    await client.predict(inputs(1))
    before, passed = counting_server.count(), proxy.answers.passed
    proxy.answers.bandwidth = 2 * MEGABYTE
    call = asyncio.ensure_future(client.predict(inputs(LARGE), timeout=2.0))
    await until(lambda: proxy.answers.passed > passed + MEGABYTE)
    proxy.stall()
    with ends_within(2.0), pytest.raises(DeadlineExceeded):
        await call
    assert counting_server.count() == before + 1


async def test_a_request_cut_in_the_middle_is_sent_again(
    connect: Connect, proxy: Proxy, counting_server: Server
) -> None:
    client = connect(proxy.address)
    await client.predict(inputs(1))
    before = counting_server.count()
    proxy.requests.reset_after = MEGABYTE
    answer = await client.predict(inputs(1, ballast=LARGE))
    assert answer["ballast"] == LARGE
    assert counting_server.count() == before + 1


async def test_a_connection_cut_before_the_answer_began_is_made_again(
    connect: Connect, proxy: Proxy, counting_server: Server
) -> None:
    client = connect(proxy.address)
    await client.predict(inputs(1))
    before = counting_server.count()
    proxy.answers.stalled = True
    call = asyncio.ensure_future(client.predict(inputs(5)))
    await until(lambda: counting_server.count() == before + 1)
    proxy.reset()
    proxy.stall(False)
    assert len((await call)["payload"]) == 5
    assert counting_server.count() == before + 2


async def test_an_idle_connection_cut_costs_nothing(
    connect: Connect, proxy: Proxy, counting_server: Server
) -> None:
    client = connect(proxy.address)
    await client.predict(inputs(1))
    before = counting_server.count()
    proxy.reset()
    await client.predict(inputs(1))
    assert counting_server.count() == before + 1


async def test_a_half_open_connection_is_replaced(
    connect: Connect, proxy: Proxy, counting_server: Server
) -> None:
    client = connect(proxy.address)
    await client.predict(inputs(1))
    before = counting_server.count()
    proxy.forget()
    await client.predict(inputs(1))
    assert counting_server.count() == before + 1
    assert proxy.connections == 2


async def test_connections_refused_at_first_are_made_again(
    connect: Connect, proxy: Proxy, counting_server: Server
) -> None:
    proxy.refused = 2
    before = counting_server.count()
    await connect(proxy.address, connect_timeout=20.0).predict(inputs(1))
    assert counting_server.count() == before + 1


async def test_a_narrow_path_delivers_within_the_deadline(
    connect: Connect, proxy: Proxy, counting_server: Server
) -> None:
    proxy.answers.bandwidth = 8 * MEGABYTE
    before = counting_server.count()
    answer = await connect(proxy.address).predict(inputs(LARGE))
    assert len(answer["payload"]) == LARGE
    assert counting_server.count() == before + 1


async def test_a_path_too_narrow_for_the_deadline_ends_with_it(
    connect: Connect, proxy: Proxy, counting_server: Server
) -> None:
    client = connect(proxy.address)
    await client.predict(inputs(1))
    before = counting_server.count()
    proxy.answers.bandwidth = MEGABYTE
    with ends_within(1.0), pytest.raises(DeadlineExceeded):
        await client.predict(inputs(LARGE), timeout=1.0)
    assert counting_server.count() == before + 1


async def test_calls_side_by_side_on_a_cut_connection_each_end_once(
    connect: Connect, proxy: Proxy, counting_server: Server
) -> None:
    client = connect(proxy.address)
    await client.predict(inputs(1))
    before = counting_server.count()
    # Slow enough for the caller to read what comes before the cut, which is in the middle of an answer.
    proxy.answers.bandwidth = 8 * MEGABYTE
    proxy.answers.reset_after = 3 * MEGABYTE + MEGABYTE // 2
    outcomes = await asyncio.gather(
        *(client.predict(inputs(MEGABYTE), timeout=20.0) for _ in range(8)), return_exceptions=True
    )
    failed = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert failed
    assert all(isinstance(error, Unavailable) for error in failed)
    # Each was run once, and once more where the cut came before its answer began.
    assert before + 8 <= counting_server.count() <= before + 16


@pytest.mark.parametrize("name", ["{0},{1}", "ipv4:{0},{1}"], ids=["listed", "one name"])
async def test_a_replica_behind_a_black_hole_is_passed_over(
    connect: Connect, proxy: Proxy, counting_server: Server, name: str
) -> None:
    proxy.stall()
    before = counting_server.count()
    client = connect(name.format(proxy.address, f"127.0.0.1:{counting_server.port}"))
    for _ in range(4):
        with ends_within(3.0):
            await client.predict(inputs(1))
    assert counting_server.count() == before + 4
