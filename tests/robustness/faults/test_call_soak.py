"""Thousands of calls of one kind leave nothing behind in the engine: a small model, so that little hides a leak."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import predict_pb2

from tests.robustness.faults.conftest import inputs, write_counting_model
from tests.robustness.faults.mixed_load import Process
from tests.support.serving import UNLIMITED, Serving

pytestmark = pytest.mark.soak

PREDICT = "/tensorflow.serving.PredictionService/Predict"
STATUS = "/tensorflow.serving.ModelService/GetModelStatus"
CALLS = 5_000
# A kilobyte for a call: grpcio keeps 17 for one that it does not end. An allocator's noise is less.
MOST_MIB = CALLS >> 10


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("counting")
    write_counting_model(folder / "1")
    limits = ("--max-requests", 1, "--max-queue", 3)
    model = f"counting={folder}"
    with contextlib.closing(
        Serving("--engine", "embedded", "--model", model, "--port", 0, *limits)
    ) as started:
        yield started


def message(**given: np.ndarray) -> bytes:
    import tensorflow as tf

    request = predict_pb2.PredictRequest()
    request.model_spec.name = "counting"
    for name, value in given.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request.SerializeToString()


GOOD = message(**inputs(1))


def send(channel: grpc.Channel, request: bytes, timeout: float = 30.0) -> grpc.Future:
    return channel.unary_unary(PREDICT).future(request, timeout=timeout)


def good(channel: grpc.Channel) -> None:
    assert send(channel, GOOD).result()


def large(channel: grpc.Channel) -> None:
    assert send(channel, message(**inputs(100_000, ballast=100_000))).result()


def bad(channel: grpc.Channel) -> None:
    assert send(channel, message(size=np.float32(1))).code() is grpc.StatusCode.INVALID_ARGUMENT


def unreadable(channel: grpc.Channel) -> None:
    assert send(channel, b"\xff" * 50).code() is grpc.StatusCode.INTERNAL


def without_a_message(channel: grpc.Channel) -> None:
    call = channel.stream_unary(PREDICT).future(iter(()), timeout=30.0)
    assert call.code() is grpc.StatusCode.UNIMPLEMENTED


def late(channel: grpc.Channel) -> None:
    send(channel, GOOD, timeout=0.0005).code()


def cancelled(channel: grpc.Channel) -> None:
    send(channel, GOOD).cancel()


def refused(channel: grpc.Channel) -> None:
    for call in [send(channel, GOOD) for _ in range(30)]:
        assert call.code() in (grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED)


@pytest.mark.parametrize(
    ("kind", "calls", "connections"),
    [
        (good, CALLS, 1),
        (good, CALLS // 5, CALLS // 5),
        (large, CALLS // 5, 1),
        (bad, CALLS, 1),
        (unreadable, CALLS, 1),
        (without_a_message, CALLS, 1),
        (late, CALLS, 1),
        (cancelled, CALLS, 1),
        (refused, CALLS // 30, 1),
    ],
)
def test_calls_leave_nothing_behind(
    server: Serving, kind: Callable[[grpc.Channel], None], calls: int, connections: int
) -> None:
    def repeat(calls: int) -> dict[str, int]:
        for _ in range(connections):
            with grpc.insecure_channel(server.address, UNLIMITED) as channel:
                for _ in range(calls // connections):
                    kind(channel)
        return Process(server.process.pid).held()

    before = repeat(max(calls // 5, connections))
    after = repeat(calls)
    assert after["anonymous_mib"] - before["anonymous_mib"] <= MOST_MIB
    assert after["threads"] <= before["threads"] + 4
    assert after["descriptors"] <= before["descriptors"] + 1
