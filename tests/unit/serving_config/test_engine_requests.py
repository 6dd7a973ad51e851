"""Requests in flight, bounds, sizes and health: the engine in this process, called over gRPC."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from slimserve.serving_config.engine.server import Engine, Options
from tensorflow_serving.apis import inference_pb2, regression_pb2

from tests.unit.serving_config.engine_calls import (
    AFFINE,
    WAIT,
    Caller,
    connect,
    listing,
    publish,
    write_warmup,
)

Start = Callable[..., Caller]


@pytest.fixture
def slow_base_path(tmp_path: Path, slow_model: Path) -> Path:
    for version in (1, 2):
        publish(tmp_path / "affine", version, slow_model)
    return tmp_path / "affine"


def test_a_request_in_flight_outlives_the_unloading_of_its_version(
    start_engine: Start, slow_base_path: Path
) -> None:
    caller = start_engine(listing(slow_base_path, 1, 2))
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(caller.predict, "affine", 400_000, "steps", version=1)
        time.sleep(0.2)
        caller.reload(listing(slow_base_path, 2))
        caller.wait_for("affine", {2: "AVAILABLE", 1: "UNLOADING"})
        with pytest.raises(grpc.RpcError, match="Servable not found"):
            caller.predict("affine", 1, "steps", version=1)
        assert not answer.done()
        assert answer.result(WAIT) == 400_000
    caller.wait_for("affine", {2: "AVAILABLE", 1: "END"})


def test_a_request_whose_deadline_passes_while_it_waits_is_not_started(
    start_engine: Start, slow_base_path: Path
) -> None:
    caller = start_engine(listing(slow_base_path, 1), max_requests=1)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(caller.predict, "affine", 200_000, "steps")
        time.sleep(0.2)
        with pytest.raises(grpc.RpcError) as caught:
            # It would hold the only slot far beyond this test's patience.
            caller.predict("affine", 2_000_000_000, "steps", timeout=0.2)
        assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        assert first.result(WAIT) == 200_000
    assert caller.predict("affine", 1, "steps") == 1


def test_status_answers_while_every_slot_is_taken(start_engine: Start, slow_base_path: Path) -> None:
    caller = start_engine(listing(slow_base_path, 1), max_requests=1)
    with ThreadPoolExecutor() as pool:
        answers = [pool.submit(caller.predict, "affine", 200_000, "steps") for _ in range(3)]
        assert caller.states("affine") == {1: "AVAILABLE"}
        assert not all(answer.done() for answer in answers)


def test_threads_share_a_session(start_engine: Start) -> None:
    caller = start_engine(listing(AFFINE, 2))

    def ask(index: int) -> bool:
        values = np.full((3, 5), index, np.float32)
        return np.array_equal(caller.predict("affine", values), values * 3 + 1)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(400)))


def test_methods_beyond_the_engine_are_unimplemented(start_engine: Start) -> None:
    caller = start_engine(listing(AFFINE, 1))
    for method, request in [
        (caller.prediction.Regress, regression_pb2.RegressionRequest()),
        (caller.prediction.MultiInference, inference_pb2.MultiInferenceRequest()),
    ]:
        with pytest.raises(grpc.RpcError) as caught:
            method(request, timeout=WAIT)
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_a_message_that_cannot_be_read_is_named(start_engine: Start) -> None:
    caller = start_engine(listing(AFFINE, 1))
    call = caller.channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    with pytest.raises(grpc.RpcError) as caught:
        call(b"\xff" * 50, timeout=WAIT)
    assert caught.value.code() == grpc.StatusCode.INTERNAL
    assert caught.value.details() == "the message is no tensorflow.serving.PredictRequest"


def test_a_request_and_an_answer_of_more_than_four_megabytes_pass(start_engine: Start) -> None:
    caller = start_engine(listing(AFFINE, 1))
    values = np.arange(3_000_000, dtype=np.float32)
    assert np.array_equal(caller.predict("affine", values), values * 2 + 1)


def test_health_is_serving_once_models_are_available(start_engine: Start) -> None:
    caller = start_engine(listing(AFFINE, 1))
    stub = health_pb2_grpc.HealthStub(caller.channel)
    for service in ("", "PredictionService", "ModelService"):
        answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=WAIT)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_nothing_answers_before_the_models_are_loaded(slow_base_path: Path) -> None:
    write_warmup(slow_base_path / "1", "steps", 200_000)
    engine = Engine(Options(port=0))
    thread = threading.Thread(target=engine.start, args=(listing(slow_base_path, 1),))
    thread.start()
    try:
        caller = connect(engine.address)
        with pytest.raises(grpc.RpcError) as caught:
            caller.predict("affine", 1, "steps", timeout=0.2)
        assert caught.value.code() in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE)
        thread.join(WAIT)
        assert caller.predict("affine", 1, "steps") == 1
    finally:
        thread.join(WAIT)
        engine.stop(grace=0)
