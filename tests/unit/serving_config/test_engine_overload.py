"""More callers than the engine can serve: who is answered, who is refused, and what is not even started."""

import collections
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import grpc
import pytest
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from slimserve.serving_config.engine.admission import usable_cores
from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2

from tests.robustness.faults.proxy import Proxy
from tests.support.serving import Serving
from tests.unit.serving_config.engine_calls import WAIT, Caller, connect, listing, publish

Start = Callable[..., Caller]
A_WHILE = 100_000  # steps of the slow model: half a second, or several on a busy machine
FOR_EVER = 2_000_000_000
OK, REFUSED, LATE = (
    grpc.StatusCode.OK,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
)


@pytest.fixture
def base_path(tmp_path: Path, slow_model: Path) -> Path:
    for version in (1, 2):
        publish(tmp_path / "affine", version, slow_model)
    return tmp_path / "affine"


def ask(caller: Caller, steps: int, timeout: float | None = WAIT) -> grpc.Future:
    """A call under way."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "affine"
    request.inputs["steps"].CopyFrom(tf.make_tensor_proto(steps))
    return caller.prediction.Predict.future(request, timeout=timeout)


@contextmanager
def busy(caller: Caller, waiting: int) -> Iterator[list[grpc.Future]]:
    """One call runs, and `waiting` more wait for it."""
    calls = [ask(caller, 3 * A_WHILE)]
    time.sleep(0.2)
    calls += [ask(caller, 1) for _ in range(waiting)]
    time.sleep(0.2)
    yield calls
    assert not calls[0].done()


def test_callers_beyond_the_queue_are_refused_at_once(start_engine: Start, base_path: Path) -> None:
    caller = start_engine(listing(base_path, 1), max_requests=1, max_queue=2)
    with busy(caller, waiting=2) as calls:
        refused = [ask(caller, 1) for _ in range(40)]
        assert {call.code() for call in refused} == {REFUSED}
        assert refused[0].details() == (
            "the server is busy: 1 predictions run at once and 2 more may wait; "
            "try again later, or send fewer at once"
        )
    assert [call.code() for call in calls] == [OK] * 3


def test_the_refused_may_come_again(start_engine: Start, base_path: Path) -> None:
    caller = start_engine(listing(base_path, 1), max_requests=1, max_queue=0)
    with busy(caller, waiting=0):
        assert ask(caller, 1).code() is REFUSED
    while (code := ask(caller, 1).code()) is REFUSED:
        time.sleep(0.05)
    assert code is OK


def test_a_refusal_does_not_wait_for_the_message(start_engine: Start, base_path: Path) -> None:
    caller = start_engine(listing(base_path, 1), max_requests=1, max_queue=0)
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "affine"
    request.inputs["steps"].CopyFrom(tf.make_tensor_proto(bytes(64 << 20)))
    with closing(Proxy(int(caller.address.rpartition(":")[2]))) as proxy:
        far = connect(proxy.address)
        with closing(far.channel), busy(caller, waiting=0):
            assert far.prediction.Predict.future(request, timeout=WAIT).code() is REFUSED
        # What a connection holds by itself, a few megabytes, had been sent by then.
        assert proxy.requests.passed < 16 << 20


def test_status_health_metadata_and_reload_answer_under_overload(
    start_engine: Start, base_path: Path
) -> None:
    caller = start_engine(listing(base_path, 1), max_requests=1, max_queue=30)
    metadata = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    metadata.model_spec.name = "affine"
    with busy(caller, waiting=30) as calls:
        assert caller.states("affine") == {1: "AVAILABLE"}
        health = health_pb2_grpc.HealthStub(caller.channel)
        serving = health.Check(health_pb2.HealthCheckRequest(), timeout=WAIT)
        assert serving.status == health_pb2.HealthCheckResponse.SERVING
        assert caller.prediction.GetModelMetadata(metadata, timeout=WAIT).metadata
        caller.reload(listing(base_path, 1, 2))
        caller.wait_for("affine", {2: "AVAILABLE", 1: "AVAILABLE"})
    assert {call.code() for call in calls} == {OK}


def test_a_caller_without_a_deadline_waits_for_its_turn(start_engine: Start, base_path: Path) -> None:
    caller = start_engine(listing(base_path, 1), max_requests=1, max_queue=2)
    with busy(caller, waiting=0):
        patient = ask(caller, 1, timeout=None)
    assert patient.code() is OK


@pytest.mark.parametrize("gone", ["cancelled", "disconnected", "late"])
def test_what_nobody_waits_for_any_more_is_not_started(
    start_engine: Start, base_path: Path, gone: str
) -> None:
    caller = start_engine(listing(base_path, 1), max_requests=1, max_queue=20)
    first = ask(caller, 4 * A_WHILE)
    time.sleep(0.2)
    other = connect(caller.address)
    with closing(other.channel):
        # Each of them, once started, would hold the only place to run far beyond this test's patience.
        calls = [ask(other, FOR_EVER, timeout=0.2 if gone == "late" else WAIT) for _ in range(20)]
        time.sleep(0.3)
        if gone == "cancelled":
            for call in calls:
                call.cancel()
    assert first.code() is OK
    assert caller.predict("affine", 1, "steps") == 1


def test_the_dead_make_room_in_the_queue(start_engine: Start, base_path: Path) -> None:
    caller = start_engine(listing(base_path, 1), max_requests=1, max_queue=2)
    first = ask(caller, 4 * A_WHILE)
    time.sleep(0.2)
    for _ in range(3):
        for call in [ask(caller, FOR_EVER), ask(caller, FOR_EVER)]:
            time.sleep(0.05)
            call.cancel()
        time.sleep(0.05)
    waiting = ask(caller, 1)
    assert (first.code(), waiting.code()) == (OK, OK)


def test_twenty_callers_for_each_core_leave_the_server_alive(
    serving: Callable[..., Serving], base_path: Path
) -> None:
    server = serving("--engine", "embedded", "--model", f"affine={base_path}", "--port", 0)
    caller = connect(server.address)
    with closing(caller.channel):
        calls = [ask(caller, A_WHILE, timeout=3.0) for _ in range(20 * usable_cores())]
        assert caller.states("affine") == {2: "AVAILABLE"}
        codes = collections.Counter(call.code() for call in calls)
        assert set(codes) <= {OK, REFUSED, LATE}
        assert codes[REFUSED] > 0
        assert server.process.poll() is None
        while ask(caller, 1).code() is not OK:
            time.sleep(0.1)
