"""Thousands of calls, and an hour of them, while replicas of the embedded engine are rolled from version to version."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from slimserve import Client
from slimserve.testing import Full, Link, Server

from tests.conftest import run_module
from tests.robustness.faults.rolling import CALLERS, Load, Replica, answers_of, roll
from tests.support.memory import resident
from tests.support.serving import Serving

CALLS = 5000
TIMEOUT = 60.0  # seconds, the callers' deadline
SECONDS = float(os.environ.get("SOAK_SECONDS", "3600"))
EVERY = 300.0  # seconds between two rolling updates of the hour

pytestmark = [pytest.mark.soak, pytest.mark.timeout(SECONDS + 3600)]


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


@pytest.fixture(scope="module", autouse=True)
def folders(small_models: Path, small_network: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Export a second version, whose classes have other names."""
    folder = tmp_path_factory.mktemp("rolled")
    labels = folder / "labels.txt"
    before = (small_models / "small" / "1" / "assets" / "labels.tsv").read_text().splitlines()
    labels.write_text("".join(f"renamed {number}\n" for number in range(len(before))))
    arguments = ("--net", "small", "--ckpt", small_network, "--out", folder / "new", "--labels", labels)
    run_module("tests.support.small_network", *arguments)
    (folder / "new" / "1").rename(folder / "new" / "2")
    Engine.folders = {1: small_models / "small", 2: folder / "new"}


@pytest.fixture(scope="module")
def expected() -> set[tuple[str, tuple[object, ...]]]:
    found = set()
    for version in (1, 2):
        engine = Engine(0, version)
        found |= answers_of(engine.address, "m")
        engine.end()
    return found


@pytest.fixture
def engines() -> Iterator[list[Replica]]:
    started: list[Replica] = [Engine(0, 1) for _ in range(3)]
    yield started
    for engine in started:
        engine.end()


@contextlib.contextmanager
def that_fails(fault: str) -> Iterator[tuple[str, Callable[[], object]]]:
    """Run a fourth replica: its address, and what makes it fail."""
    with contextlib.ExitStack() as stack:
        if fault == "full":  # as the real server refuses: at once, no queue, questions of status too
            server = stack.enter_context(Server({"m": {}}))
            server.fail(Full())
            yield server.address, lambda: None
            return
        engine = Engine(0, 1)
        stack.callback(engine.end)
        link = stack.enter_context(Link(engine.port))
        stop = functools.partial(engine.process.send_signal, signal.SIGSTOP)
        ways = {"half-open": link.half_open, "black hole": link.black_hole, "stopped": stop}
        yield link.address, ways[fault]


def report(load: Load, client: Client) -> None:
    counted = client.statistics()
    print(
        f"{load.calls} calls by {CALLERS} callers, {sum(load.wrong.values())} failed or of no version; "
        f"{counted.calls} requests, {counted.repeated} sent again; the slowest call took {load.longest:.1f} s"
    )


@pytest.mark.parametrize("fault", ["", "full", "stopped", "half-open", "black hole"])
def test_5000_calls_outlive_rolling_updates(
    fault: str, engines: list[Replica], expected: set[tuple[str, tuple[object, ...]]]
) -> None:
    with contextlib.ExitStack() as stack:
        addresses = [engine.address for engine in engines]
        fail: Callable[[], object] = lambda: None  # noqa: E731
        if fault:
            address, fail = stack.enter_context(that_fails(fault))
            addresses.append(address)
        client = stack.enter_context(Client(addresses, model="m", timeout=TIMEOUT))
        load = Load(client, expected)
        with load.running():
            load.until(200)
            while load.calls < CALLS:
                fail()
                roll(engines, Engine, load, client, CALLS // 16)
        report(load, client)
    assert not load.wrong
    assert load.versions == {1, 2}
    assert load.longest < TIMEOUT


def test_an_hour_of_rolling_updates_leaves_the_caller_as_it_was(
    engines: list[Replica], expected: set[tuple[str, tuple[object, ...]]]
) -> None:
    end = time.monotonic() + SECONDS
    with Client([engine.address for engine in engines], model="m", timeout=TIMEOUT) as client:
        load = Load(client, expected)
        with load.running():
            early = 0
            while time.monotonic() < end:
                next_time = min(time.monotonic() + EVERY, end)
                roll(engines, Engine, load, client, 20)
                early = early or resident()
                time.sleep(max(next_time - time.monotonic(), 0.0))
            late = resident()
        report(load, client)
        print(f"resident: {early >> 20} MiB after the first rolling update, {late >> 20} MiB at the end")
    assert not load.wrong
    assert late < 1.05 * early
