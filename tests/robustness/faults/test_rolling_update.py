"""Three replicas rolled from version 1 to 2 and back, killed and drained, under callers of every task.

Real processes of `slimserve.testing`; `test_rolling_update_soak` has the embedded engine's.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

import pytest
from slimserve import Client
from slimserve.testing import Full, Link, Server

from tests.robustness.faults.rolling import Load, Replica, answers_of, roll
from tests.robustness.faults.versioned_replica import model

TIMEOUT = 20.0  # seconds, the callers' deadline
TO_SPARE = 5.0


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
