"""Three replicas rolled from version 1 to 2 and back, killed and drained, under callers of every task.

Real processes. The short run is of `slimserve.testing`, the long one of the embedded engine.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from slimserve import Client
from slimserve.testing import Full, Link, Server

from tests.conftest import ROOT, run_module
from tests.robustness.faults.rolling import Load, answers_of
from tests.robustness.faults.versioned_replica import model
from tests.support.serving import Serving

TIMEOUT = 20.0  # seconds, the callers' deadline
TO_SPARE = 5.0


class Replica:
    """A process of `versioned_replica`."""

    def __init__(self, port: int, version: int) -> None:
        command = [sys.executable, "-m", "tests.robustness.faults.versioned_replica", str(port), str(version)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        self.address = f"127.0.0.1:{self.port}"

    def end(self, number: int = signal.SIGKILL) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(number)
        self.process.wait(60)
        assert self.process.stdout is not None
        self.process.stdout.close()


def roll(
    replicas: list[Replica], start: Callable[[int, int], Replica], load: Load, client: Client, between: int
) -> None:
    """Replace every replica by one of version 2, then of version 1, killed and ended in turn."""
    for version in (2, 1):
        for number in range(len(replicas)):
            replicas[number].end(signal.SIGTERM if number % 2 else signal.SIGKILL)
            replicas[number] = start(replicas[number].port, version)
            client.wait_until_ready(60)
            load.until(load.calls + between)


@pytest.fixture
def replicas() -> Iterator[list[Replica]]:
    started = [Replica(0, 1) for _ in range(3)]
    yield started
    for replica in started:
        replica.end()


@pytest.fixture(scope="module")
def expected() -> set[tuple[str, tuple[object, ...]]]:
    found = set()
    for version in (1, 2):
        with Server({"m": {version: model(version)}}) as server:
            found |= answers_of(server.address, "m")
    return found


def test_a_rolling_update_fails_no_call_and_mixes_no_versions(
    replicas: list[Replica], expected: set[tuple[str, tuple[object, ...]]]
) -> None:
    with Client([replica.address for replica in replicas], model="m", timeout=TIMEOUT) as client:
        load = Load(client, expected)
        with load.running():
            load.until(30)
            roll(replicas, Replica, load, client, 30)
    assert not load.wrong
    assert load.versions == {1, 2}
    assert load.longest < TIMEOUT + TO_SPARE


@pytest.mark.parametrize("fault", ["stopped", "full", "half-open", "black hole"])
def test_a_replica_that_fails_in_its_own_way_fails_no_call(
    fault: str, replicas: list[Replica], expected: set[tuple[str, tuple[object, ...]]]
) -> None:
    with contextlib.ExitStack() as stack:
        odd = stack.enter_context(Server({"m": {1: model(1)}}))
        link = stack.enter_context(Link(odd.port))
        addresses = [replicas[0].address, replicas[1].address, link.address]
        if fault == "stopped":
            addresses[2] = replicas[2].address
        client = stack.enter_context(Client(addresses, model="m", timeout=8))
        load = Load(client, expected)
        with load.running():
            load.until(40)
            if fault == "stopped":
                replicas[2].process.send_signal(signal.SIGSTOP)
            elif fault == "full":
                odd.fail(Full())
            else:
                {"half-open": link.half_open, "black hole": link.black_hole}[fault]()
            load.until(load.calls + 120)
    assert not load.wrong
    assert load.longest < 8


class Engine(Replica):
    """A process of the embedded engine, which serves the folder of one version."""

    folders: dict[int, Path]

    def __init__(self, port: int, version: int) -> None:
        arguments = ("--engine", "embedded", "--model", f"m={self.folders[version]}", "--port", port)
        self.serving = Serving(*arguments)
        self.process, self.address = self.serving.process, self.serving.address
        self.port = int(self.address.rpartition(":")[2])

    def end(self, number: int = signal.SIGKILL) -> None:
        # The launcher takes its engine with it only on SIGTERM everywhere.
        self.serving.stop(signal.SIGTERM if number != signal.SIGKILL or os.name == "nt" else number)
        self.serving.close()


@pytest.mark.soak
def test_5000_calls_outlive_rolling_updates_of_the_engine(
    small_models: Path, small_network: Path, tmp_path: Path
) -> None:
    labels = tmp_path / "labels.txt"
    before = (small_models / "small" / "1" / "assets" / "labels.tsv").read_text().splitlines()
    labels.write_text("".join(f"renamed {number}\n" for number in range(len(before))))
    arguments = ("--net", "small", "--ckpt", small_network, "--out", tmp_path / "new", "--labels", labels)
    run_module("tests.support.small_network", *arguments)
    (tmp_path / "new" / "1").rename(tmp_path / "new" / "2")
    Engine.folders = {1: small_models / "small", 2: tmp_path / "new"}
    engines: list[Replica] = [Engine(0, 1) for _ in range(3)]
    try:
        expected = answers_of(engines[0].address, "m")
        other = Engine(_free_port(), 2)
        expected |= answers_of(other.address, "m")
        other.end()
        with Client([engine.address for engine in engines], model="m", timeout=60) as client:
            load = Load(client, expected)
            with load.running():
                load.until(200)
                while load.calls < 5000:
                    roll(engines, Engine, load, client, 300)
    finally:
        for engine in engines:
            engine.end()
    assert not load.wrong
    assert load.versions == {1, 2}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
