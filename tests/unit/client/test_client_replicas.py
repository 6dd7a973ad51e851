"""Several replicas: calls in turn, a replica that dies, a replica that comes back."""

from __future__ import annotations

import asyncio
import collections
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from slimserve import AsyncClient, Client, ServingError

ROOT = Path(__file__).parents[3]
INPUTS = {"x": [1.0]}


class Replica:
    def __init__(self, port: int = 0) -> None:
        command = [sys.executable, "-m", "tests.unit.client.replica", str(port)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def start() -> Iterator[Callable[..., Replica]]:
    started: list[Replica] = []

    def start_one(port: int = 0) -> Replica:
        started.append(Replica(port))
        return started[-1]

    yield start_one
    for replica in started:
        replica.kill()


def listed(replicas: list[Replica]) -> str:
    return ",".join(f"localhost:{replica.port}" for replica in replicas)


def behind_one_name(replicas: list[Replica]) -> str:
    """One gRPC name with several addresses, as a headless service has."""
    return "ipv4:" + ",".join(f"127.0.0.1:{replica.port}" for replica in replicas)


addresses = pytest.mark.parametrize("address", [listed, behind_one_name])


def answering(caller: Client, calls: int) -> collections.Counter[int]:
    return collections.Counter(int(caller.predict(INPUTS)["process"]) for _ in range(calls))


def when_all_answer(caller: Client, replicas: int) -> None:
    """Call until every replica has answered: connections come about one after the other."""
    limit = time.monotonic() + 20
    while len(answering(caller, 10)) < replicas:
        assert time.monotonic() < limit


@addresses
def test_replicas_are_used_in_turn(
    address: Callable[[list[Replica]], str], start: Callable[..., Replica]
) -> None:
    replicas = [start() for _ in range(3)]
    with Client(address(replicas), model="m") as caller:
        when_all_answer(caller, 3)
        assert sorted(answering(caller, 30).values()) == [10, 10, 10]


async def test_the_async_client_uses_replicas_in_turn(start: Callable[..., Replica]) -> None:
    replicas = [start() for _ in range(3)]
    async with AsyncClient(listed(replicas), model="m") as caller:
        seen: collections.Counter[int] = collections.Counter()
        limit = time.monotonic() + 20
        while len(seen) < 3 and time.monotonic() < limit:
            answers = await asyncio.gather(*(caller.predict(INPUTS) for _ in range(6)))
            seen.update(int(answer["process"]) for answer in answers)
        assert len(seen) == 3
        replicas[0].kill()
        for _ in range(12):
            assert int((await caller.predict(INPUTS))["process"]) != replicas[0].process.pid


@addresses
def test_a_replica_killed_under_load_fails_no_call_and_is_used_again(
    address: Callable[[list[Replica]], str], start: Callable[..., Replica]
) -> None:
    replicas = [start() for _ in range(3)]
    failures: list[ServingError] = []
    stop = threading.Event()
    with Client(address(replicas), model="m") as caller:
        when_all_answer(caller, 3)

        def load() -> None:
            while not stop.is_set():
                try:
                    caller.predict(INPUTS)
                except ServingError as error:
                    failures.append(error)

        threads = [threading.Thread(target=load) for _ in range(8)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        replicas[0].kill()
        time.sleep(2)
        stop.set()
        for thread in threads:
            thread.join()
        assert not failures
        assert len(answering(caller, 12)) == 2
        returned = start(replicas[0].port)
        limit = time.monotonic() + 30
        while not answering(caller, 3)[returned.process.pid]:
            assert time.monotonic() < limit
            time.sleep(0.1)
        assert answering(caller, 30)[returned.process.pid] >= 8


def test_a_call_reaches_the_one_replica_that_is_up(start: Callable[..., Replica]) -> None:
    replicas = [start() for _ in range(3)]
    for replica in replicas[:2]:
        replica.kill()
    with Client(listed(replicas), model="m") as caller:
        assert set(answering(caller, 6)) == {replicas[2].process.pid}
