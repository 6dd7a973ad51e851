"""Where a client may be used: threads, event loops, forked and spawned processes; what is left when it is dropped."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import pickle
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from slimserve import TLS, AsyncClient, Client, ServingError
from slimserve.channels.blocking import Blocking
from slimserve.channels.connections.connection import Channel, Connection
from slimserve.channels.replicas.replica import Replica
from slimserve.testing import Model, Server

PIXELS = np.zeros((4, 4, 3), np.uint8)


@pytest.fixture(scope="module")
def servers() -> Iterator[list[Server]]:
    started = [Server(Model(["cat"])).start() for _ in range(2)]
    yield started
    for server in started:
        server.stop()


def run(code: str, *arguments: str) -> str:
    """Run Python in a process of its own: one that forks must not be the one of all tests."""
    command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_client_works_in_a_forked_process_and_in_the_one_it_was_forked_from(servers: list[Server]) -> None:
    said = run(
        """
        import os, sys
        import numpy as np
        from slimserve import Client
        pixels = np.zeros((4, 4, 3), np.uint8)
        client = Client(sys.argv[1:], model="model", timeout=20)
        client.classify(pixels)
        children = []
        for _ in range(3):
            child = os.fork()
            if not child:
                for _ in range(5):
                    client.classify(pixels)
                client.close()
                os._exit(0)
            children.append(child)
        for _ in range(20):
            client.classify(pixels)
        print([os.waitpid(child, 0)[1] for child in children])
        """,
        *(server.address for server in servers),
    )
    assert said.strip() == "[0, 0, 0]"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_an_async_client_in_a_forked_process_says_what_to_do(servers: list[Server]) -> None:
    said = run(
        """
        import asyncio, os, sys
        import numpy as np
        from slimserve import AsyncClient
        client = AsyncClient(sys.argv[1], model="model", timeout=20)
        call = lambda: client.classify(np.zeros((4, 4, 3), np.uint8))
        asyncio.run(call())
        child = os.fork()
        if not child:
            try:
                asyncio.run(call())
            except RuntimeError as error:
                print(error, flush=True)
            os._exit(0)
        os.waitpid(child, 0)
        """,
        servers[0].address,
    )
    assert '"spawn" or "forkserver"' in said


def classify(client: Client) -> str:
    return client.classify(PIXELS).top.name


def test_a_client_is_pickled_as_its_arguments(servers: list[Server]) -> None:
    with Client(servers[0].address, model="model", tls=False, timeout=20) as client:
        classify(client)
        with pickle.loads(pickle.dumps(client)) as other:
            assert classify(other) == "cat"
    assert isinstance(pickle.loads(pickle.dumps(AsyncClient("a:1", model="m"))), AsyncClient)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"token": "geheim"}, "make one in each process"),
        ({"metadata": {"key": "geheim"}}, "make one in each process"),
        ({"tls": grpc.ssl_channel_credentials()}, "credentials cannot be pickled"),
    ],
)
def test_a_client_that_cannot_be_pickled_says_what_to_do(options: dict[str, Any], says: str) -> None:
    with Client("localhost:1", model="m", **options) as client, pytest.raises(TypeError, match=says):
        pickle.dumps(client)


def test_an_async_client_serves_one_event_loop_after_the_other(servers: list[Server]) -> None:
    client = AsyncClient([server.address for server in servers], model="model")
    for _ in range(3):
        assert asyncio.run(client.classify(PIXELS)).top.name == "cat"


def test_an_async_client_serves_event_loops_in_several_threads(servers: list[Server]) -> None:
    client = AsyncClient(servers[0].address, model="model")
    names: list[str] = []

    async def several() -> None:
        names.extend([(await client.classify(PIXELS)).top.name for _ in range(5)])

    threads = [threading.Thread(target=asyncio.run, args=(several(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert names == ["cat"] * 15


def test_nothing_is_left_of_what_was_opened_in_event_loops_that_have_ended(servers: list[Server]) -> None:
    client = AsyncClient(servers[0].address, model="model")
    opened: list[weakref.ref[object]] = []
    for _ in range(5):
        asyncio.run(client.classify(PIXELS))
        opened += map(weakref.ref, client._drivers.values())
    gc.collect()
    assert sum(driver() is not None for driver in opened) <= 1


async def test_an_async_client_that_is_closed_says_so_and_nothing_else(
    servers: list[Server], caplog: pytest.LogCaptureFixture
) -> None:
    client = AsyncClient([server.address for server in servers], model="model")
    await client.close()
    with pytest.raises(RuntimeError, match="the client is closed"):
        await client.classify(PIXELS)
    gc.collect()
    await asyncio.sleep(0)
    assert caplog.messages == []


async def test_a_call_that_is_cancelled_while_its_token_is_asked_for_is_not_in_flight(
    servers: list[Server],
) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def token() -> str:
        asked.set()
        go_on.wait(20)
        return "t"

    async with AsyncClient(servers[0].address, model="model", token=token) as client:
        go_on.set()
        await client.classify(PIXELS)
        asked.clear()
        go_on.clear()
        call = asyncio.create_task(client.classify(PIXELS))
        await asyncio.to_thread(asked.wait, 20)
        call.cancel()
        (kept,) = await asyncio.gather(call, return_exceptions=True)  # with the frames that it went through
        go_on.set()
        end = time.monotonic() + 20
        while client.statistics().replicas[0].in_flight and time.monotonic() < end:
            await asyncio.sleep(0.01)
        assert client.statistics().replicas[0].in_flight == 0
        assert isinstance(kept, asyncio.CancelledError)


def test_without_asyncio_the_async_client_says_what_to_do() -> None:
    trio = pytest.importorskip("trio")

    async def call() -> None:
        async with AsyncClient("localhost:1", model="m") as client:
            await client.classify(PIXELS)

    with pytest.raises(RuntimeError, match="under trio"):
        trio.run(call)


def test_a_connection_that_another_thread_gives_up_fails_no_call(
    servers: list[Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look for a connection and the question of health that it is to carry."""
    look, given_up = Blocking._channel, list[object]()

    def channel(self: Blocking, replica: Replica) -> Channel:
        found = look(self, replica)
        if not given_up:
            given_up.append(self._channels.pop(replica))
            found.channel.close()
        return found

    monkeypatch.setattr(Blocking, "_channel", channel)
    with Client([server.address for server in servers], model="model") as client:
        classify(client)
    assert given_up


def test_a_client_that_another_thread_closes_says_so(
    servers: list[Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    look = Blocking._channel

    def channel(self: Blocking, replica: Replica) -> Channel:
        found = look(self, replica)
        self.close()
        return found

    monkeypatch.setattr(Blocking, "_channel", channel)
    with (
        Client(servers[0].address, model="model") as client,
        pytest.raises(ServingError, match="the client was closed") as caught,
    ):
        classify(client)
    assert caught.value.code is grpc.StatusCode.CANCELLED


def test_a_dropped_client_is_closed_in_whichever_thread_the_garbage_collector_runs(
    servers: list[Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the watch, which holds no client, while it opens a connection under the client's lock."""
    client = Client([server.address for server in servers], model="model")
    classify(client)
    driver, replica = client._driver, client._replicas.members[0]
    driver._channels.pop(replica).channel.close()
    cycle: list[object] = [client]
    cycle.append(cycle)
    del client, cycle
    opened = Connection.open

    def open_and_collect(self: Connection, *arguments: Any, **options: Any) -> Any:
        gc.collect()
        return opened(self, *arguments, **options)

    monkeypatch.setattr(Connection, "open", open_and_collect)
    opening = threading.Thread(target=driver._channel, args=(replica,), daemon=True)
    opening.start()
    opening.join(20)
    assert not opening.is_alive()
    assert driver._closed


def held() -> tuple[int, int]:
    """Threads, Python's and gRPC's, and descriptors of this process."""
    gc.collect()
    return len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))


def settled() -> tuple[int, int]:
    """What is held once that does not change any more."""
    end, before = time.monotonic() + 10, (0, 0)
    while (now := held()) != before and time.monotonic() < end:
        before = now
        time.sleep(0.6)
    return now


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="only Linux lists threads and descriptors")
@pytest.mark.parametrize("close", [True, False])
@pytest.mark.parametrize("clients", [200, pytest.param(1000, marks=pytest.mark.soak)])
def test_nothing_is_left_of_clients_that_are_dropped(
    servers: list[Server], close: bool, clients: int
) -> None:
    addresses = [server.address for server in servers]

    def make(count: int) -> None:
        for number in range(count):
            client = Client(addresses, model="model")
            if number % 10 == 0:
                classify(client)
            if close:
                client.close()

    async def make_async(count: int) -> None:
        for number in range(count):
            client = AsyncClient(addresses, model="model")
            if number % 10 == 0:
                await client.classify(PIXELS)
            if close:
                await client.close()
        if close:
            assert len(asyncio.all_tasks()) == 1

    make(20)
    asyncio.run(make_async(20))
    threads, descriptors = settled()
    make(clients)
    asyncio.run(make_async(clients))
    after = settled()
    assert after[0] <= threads + 4  # gRPC's own pool grows and shrinks
    assert after[1] <= descriptors + 4
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("slimserve watch")]


def test_spawned_processes_make_their_own(servers: list[Server]) -> None:
    client = Client(servers[0].address, model="model", tls=False, timeout=20)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(classify, [client]) == ["cat"]
    assert TLS() == pickle.loads(pickle.dumps(TLS()))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_fork_waits_for_calls_in_the_background(servers: list[Server]) -> None:
    said = run(
        """
        import os, sys, threading
        import grpc
        from slimserve.channels.connections.forks import in_background
        grpc.channel_ready_future(channel := grpc.insecure_channel(sys.argv[1])).result(20)
        ask = channel.unary_unary("/nobody.has/It", None, None).future
        for _ in range(20):
            call = in_background(lambda: ask(b"", timeout=20))
            if not os.fork():
                os._exit(0)
            print(call.done())
        """,
        servers[0].address,
    )
    assert said.split() == ["True"] * 20
