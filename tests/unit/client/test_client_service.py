"""Several replicas as one service: who is passed over, what stays together, what the servers bear."""

from __future__ import annotations

import asyncio
import collections
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import grpc
import numpy as np
import pytest
from slimserve import AsyncClient, Client, ModelNotFound, Overloaded, Retry, ServingError, Unavailable
from slimserve.channels.connections.connection import Connection
from slimserve.channels.replicas.replica import Replica
from slimserve.testing import Delay, Full, Link, Model, Server, Status

from tests.unit.client.conftest import ScriptedServer, predict_answer

PIXELS = np.full((8, 8, 3), 200, np.uint8)
AT_ONCE = Retry(backoff=0.01)
TO_SPARE = 4.0


@pytest.fixture
def start() -> Iterator[Callable[..., Any]]:
    """Starts servers and links that end with the test."""
    with ExitStack() as stack:
        yield stack.enter_context


def serving(*versions: int, threads: int | None = None) -> Server:
    """A server of the model m in these versions, whose classes carry the version in their names."""
    models = {
        version: Model(
            [f"a{version}", f"b{version}"],
            label_map=lambda pixels, version=version: np.full(pixels.shape[:2], version % 2),
        )
        for version in versions
    }
    return Server({"m": models} if models else {"other": {1: Model()}}, threads=threads)


def addresses(*servers: Server | Link) -> list[str]:
    return [server.address for server in servers]


async def classify(kind: type[Client] | type[AsyncClient], calls: int, *args: Any, **options: Any) -> None:
    """Classify so often with a client of one kind or the other, one after the other."""
    if kind is Client:
        with Client(*args, **options) as client:
            for _ in range(calls):
                await asyncio.to_thread(client.classify, PIXELS)
    else:
        async with AsyncClient(*args, **options) as client:
            for _ in range(calls):
                await client.classify(PIXELS)


both = pytest.mark.parametrize("kind", [Client, AsyncClient])


@both
async def test_a_full_replica_is_passed_over(kind: type[Client], start: Callable[..., Server]) -> None:
    full, other = start(serving(1)), start(serving(1))
    full.fail(Full())
    await classify(kind, 20, addresses(full, other), model="m")
    assert sum(call.method == "Predict" for call in other.calls) == 20


@both
async def test_a_replica_without_the_model_is_passed_over(
    kind: type[Client], start: Callable[..., Server]
) -> None:
    without, other = start(serving()), start(serving(1))
    await classify(kind, 20, addresses(without, other), model="m")
    assert len(other.calls) == 20


@both
async def test_a_pinned_version_is_asked_of_the_replica_that_has_it(
    kind: type[Client], start: Callable[..., Server]
) -> None:
    old, new = start(serving(1)), start(serving(1, 2))
    await classify(kind, 20, addresses(old, new), model="m", version=2)
    assert len(new.calls) == 20
    assert len(old.calls) <= 2  # once to find out


def test_a_label_that_one_replica_lacks_is_asked_of_another(start: Callable[..., Server]) -> None:
    without, labelled = start(serving(1)), start(serving(1))
    labelled.label("m", "stable", 1)
    with Client(addresses(without, labelled), model="m", version_label="stable") as client:
        for _ in range(10):
            client.classify(PIXELS)


@both
async def test_unavailable_is_asked_of_another_replica(
    kind: type[Client], start: Callable[..., Server]
) -> None:
    failing, other = start(serving(1)), start(serving(1))
    failing.fail(Status(grpc.StatusCode.UNAVAILABLE, "The batch scheduling queue is full"), method="Predict")
    await classify(kind, 4, addresses(failing, other), model="m", retry=AT_ONCE)
    assert len(other.calls) == 4


def test_what_no_replica_has_is_not_found_at_once(start: Callable[..., Server]) -> None:
    servers = [start(serving(1)) for _ in range(3)]
    with Client(addresses(*servers), model="m", version=9) as client, pytest.raises(ModelNotFound):
        client.classify(PIXELS)
    assert [len(server.calls) for server in servers] == [1, 1, 1]


def test_where_all_are_full_the_load_is_at_most_doubled(start: Callable[..., Server]) -> None:
    servers = [start(serving(1)) for _ in range(2)]
    for server in servers:
        server.fail(Full())
    with Client(addresses(*servers), model="m", retry=AT_ONCE) as client:
        for _ in range(30):
            with pytest.raises(Overloaded):
                client.classify(PIXELS)
        assert client.statistics().failed == 30
    assert sum(len(server.calls) for server in servers) <= 60


def test_a_budget_of_nothing_sends_nothing_again(start: Callable[..., Server]) -> None:
    server = start(serving(1))
    server.fail(Status(grpc.StatusCode.UNAVAILABLE, "starting"))
    with Client(server.address, model="m", retry=Retry(budget=0)) as client, pytest.raises(Unavailable):
        client.classify(PIXELS)
    assert len(server.calls) == 1


def test_other_statuses_are_sent_again_where_told(start: Callable[..., Server]) -> None:
    server = start(serving(1))
    server.fail(Status(grpc.StatusCode.INTERNAL, "a cosmic ray"), times=2)
    retry = Retry(backoff=0.01, on={grpc.StatusCode.INTERNAL})
    with Client(server.address, model="m", retry=retry) as client:
        client.classify(PIXELS)
    assert len(server.calls) == 3


@pytest.mark.parametrize(
    "arguments",
    [
        {"attempts": 0},
        {"attempts": 1.5},
        {"backoff": 0},
        {"backoff": "1"},
        {"budget": -1},
        {"budget": None},
        {"on": ["UNAVAILABLE"]},
        {"on": 5},
    ],
    ids=str,
)
def test_a_retry_that_cannot_be_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ServingError, match=r"Retry\("):
        Retry(**arguments)


@both
@pytest.mark.parametrize("fault", [Link.half_open, Link.black_hole])
async def test_calls_that_a_silent_replica_holds_go_to_another(
    kind: type[Client], fault: Callable[[Link], None], start: Callable[..., Any]
) -> None:
    servers = [start(serving(1)) for _ in range(2)]
    link = start(Link(servers[0].port))
    begun = time.monotonic()
    async with AsyncClient(addresses(link, servers[1]), model="m", timeout=4) as client:
        await asyncio.gather(*(client.classify(PIXELS) for _ in range(8)))
        fault(link)
        await asyncio.gather(*(client.classify(PIXELS) for _ in range(8)))
    if kind is Client:
        link.open()
        with Client(addresses(link, servers[1]), model="m", timeout=4) as blocking:
            await asyncio.gather(*(asyncio.to_thread(blocking.classify, PIXELS) for _ in range(8)))
            fault(link)
            await asyncio.gather(*(asyncio.to_thread(blocking.classify, PIXELS) for _ in range(8)))
    assert time.monotonic() - begun < 8 + TO_SPARE


def test_a_long_call_that_a_living_server_cuts_off_is_computed_twice_at_most(
    start: Callable[..., Any],
) -> None:
    servers = [start(serving(1)) for _ in range(2)]
    gate = threading.Event()
    links = []
    for server in servers:
        server.fail(Delay(gate), method="Predict")
        links.append(start(Link(server.port)))

    def cut() -> None:  # as a server does that ends connections at some age
        while not gate.wait(1.2):
            for link in links:
                link.cut()

    cutting = threading.Thread(target=cut)
    cutting.start()
    try:
        with (
            Client(addresses(*links), model="m", timeout=20) as client,
            pytest.raises(Unavailable, match="ends connections under calls"),
        ):
            client.classify(PIXELS)
    finally:
        gate.set()
        cutting.join()
    assert sum(call.method == "Predict" for server in servers for call in server.calls) == 2


def test_a_call_in_hand_is_answered_by_a_server_that_is_back_before_it_is_looked_for(
    start: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start(serving(1))
    look = Connection.is_refused_by

    def look_late(connection: Connection, replica: Replica) -> bool:
        monkeypatch.setattr(Connection, "is_refused_by", look)
        server.heal()
        server.start()
        return look(connection, replica)

    with Client(server.address, model="m", timeout=30) as client:
        client.classify(PIXELS)
        monkeypatch.setattr(Connection, "is_refused_by", look_late)
        server.fail(Delay(30), signature="classify")
        threading.Timer(0.5, server.stop).start()
        assert client.classify(PIXELS).model_version == 1


def test_the_least_busy_replica_is_asked_first(start: Callable[..., Server]) -> None:
    slow, quick = start(serving(1)), start(serving(1))
    gate = threading.Event()
    slow.fail(Delay(gate), method="Predict")
    with Client(addresses(slow, quick), model="m") as client:
        stuck: list[threading.Thread] = []
        end = time.monotonic() + 20
        while not slow.calls:
            assert time.monotonic() < end
            stuck.append(threading.Thread(target=client.classify, args=(PIXELS,)))
            stuck[-1].start()
            time.sleep(0.05)
        before = len(slow.calls)
        for _ in range(10):
            client.classify(PIXELS)
        gate.set()
        for thread in stuck:
            thread.join()
    assert len(slow.calls) == before


def test_the_tiles_of_an_image_move_together_when_their_version_goes(start: Callable[..., Server]) -> None:
    servers = [start(serving(1, 2)) for _ in range(2)]
    for server in servers:
        server.withdraw("m", 2)
    image = np.zeros((64, 640, 3), np.uint8)

    def roll(done: int, tiles: int) -> None:
        if done == 2 and tiles:
            for server in servers:
                server.serve("m", 2, server._models["m"][2])
                server.withdraw("m", 1)

    with Client(addresses(*servers), model="m") as client:
        scene = client.segment(image, tile=96, overlap=32, tiles_at_once=1, progress=roll)
    assert scene.model_version == 2
    assert np.unique(scene.label_map).tolist() == [0]  # of version 2 alone
    assert [area.name for area in scene.areas()] == ["a2"]


def test_waiting_goes_on_while_a_server_is_full(start: Callable[..., Server]) -> None:
    server = start(serving(1))
    server.fail(Full(), times=3)
    with Client(server.address, model="m", retry=AT_ONCE) as client:
        client.wait_until_ready(20)
    assert len(server.calls) == 4
    server.fail(Full())
    with Client(server.address, model="m") as client, pytest.raises(Overloaded, match="not ready after"):
        client.wait_until_ready(0.2)


def test_waiting_is_for_all_replicas_or_as_many_as_asked(start: Callable[..., Server]) -> None:
    ready, without = start(serving(1)), start(serving())
    with Client(addresses(ready, without), model="m") as client:
        client.wait_until_ready(20, replicas=1)
        with pytest.raises(ModelNotFound, match=r"\(1 of 2 replicas are\)"):
            client.wait_until_ready(0.2)


def test_what_a_client_did_is_counted(start: Callable[..., Server]) -> None:
    full, other = start(serving(1)), start(serving(1))
    full.fail(Full())
    with Client(addresses(full, other), model="m") as client:
        for _ in range(10):
            client.classify(PIXELS)
        counted = client.statistics()
    by_address = {replica.address: replica for replica in counted.replicas}
    assert (counted.calls, counted.failed) == (10, 0)
    assert counted.repeated == by_address[full.address].failures == len(full.calls)
    assert (by_address[other.address].calls, by_address[other.address].version) == (10, 1)
    latency = by_address[other.address].latency
    assert latency is not None
    assert 0 < latency[0] <= latency[1] <= latency[2]
    assert by_address[full.address].latency is None
    assert sum(collections.Counter(replica.in_flight for replica in counted.replicas)) == 0


HEALTH = "/grpc.health.v1.Health/Check"
PREDICT = "/tensorflow.serving.PredictionService/Predict"


def test_a_drained_replica_gets_nothing_new(scripted: Callable[..., ScriptedServer]) -> None:
    servers = [scripted() for _ in range(2)]
    for server in servers:
        server.answers[PREDICT] = lambda request, context: predict_answer(y=[1.0])
        server.answers[HEALTH] = lambda request, context: b"\x08\x01"
    with Client([server.address for server in servers], model="m") as client:
        for _ in range(10):
            client.predict({"x": [1.0]})
        servers[0].answers[HEALTH] = lambda request, context: b"\x08\x02"
        time.sleep(1.5)  # longer than an answer to the question of health holds
        before = servers[0].calls.count(PREDICT)
        for _ in range(10):
            client.predict({"x": [1.0]})
        assert servers[0].calls.count(PREDICT) == before > 0
        servers[0].answers[HEALTH] = lambda request, context: b"\x08\x01"
        end = time.monotonic() + 10
        while servers[0].calls.count(PREDICT) == before:
            client.predict({"x": [1.0]})
            assert time.monotonic() < end
