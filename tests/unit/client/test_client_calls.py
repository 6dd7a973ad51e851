"""Deadlines, retries, readiness, and what travels with a call."""

from __future__ import annotations

import asyncio
import http.server
import socket
import threading
import time
from collections.abc import Callable

import grpc
import numpy as np
import pytest
from slimserve import AsyncClient, Client, DeadlineExceeded, ModelNotFound, ServingError, Unavailable
from slimserve.channels.steps import HEALTH
from slimserve.testing import Link
from slimserve.wire.protocol import GetModelStatusResponse

from tests.unit.client.conftest import (
    GET_MODEL_METADATA,
    GET_MODEL_STATUS,
    PREDICT,
    ScriptedServer,
    predict_answer,
    refusing,
)

Start = Callable[..., ScriptedServer]
INPUTS = {"x": np.ones(1, np.float32)}


def unavailable_at_first(times: int, answer: bytes) -> Callable[[bytes, grpc.ServicerContext], bytes]:
    remaining = iter(range(times))

    def reply(request: bytes, context: grpc.ServicerContext) -> bytes:
        if next(remaining, None) is not None:
            context.abort(grpc.StatusCode.UNAVAILABLE, "starting")
        return answer

    return reply


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_unavailable_is_tried_again(scripted: Start) -> None:
    server = scripted()
    server.answers[PREDICT] = unavailable_at_first(2, predict_answer(y=[7.0]))
    with Client(server.address, model="m") as caller:
        assert caller.predict(INPUTS)["y"].tolist() == [7.0]
    assert len(server.calls) == 3


def test_a_request_of_megabytes_is_tried_again(scripted: Start) -> None:
    server = scripted()
    server.answers[PREDICT] = unavailable_at_first(1, predict_answer(y=[7.0]))
    with Client(server.address, model="m") as caller:
        caller.predict({"x": np.zeros(1 << 20, np.float32)})
    assert len(server.calls) == 2


async def test_unavailable_is_tried_again_by_the_async_client(scripted: Start) -> None:
    server = scripted()
    server.answers[PREDICT] = unavailable_at_first(2, predict_answer(y=[7.0]))
    async with AsyncClient(server.address, model="m") as caller:
        assert (await caller.predict(INPUTS))["y"].tolist() == [7.0]


@pytest.mark.parametrize("broken", [0, 4], ids=["alone", "with_questions"])
def test_an_answer_that_began_is_not_asked_for_again(scripted: Start, broken: int) -> None:
    """The connection that ends under it may take with it the questions how its server is."""
    server = scripted()
    questions = iter([False, *[True] * broken])

    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        time.sleep(0.4)  # longer than gRPC takes until it has sent again what found no connection
        return predict_answer(y=np.zeros(1 << 20))

    def health(request: bytes, context: grpc.ServicerContext) -> bytes:
        if next(questions, False):
            context.abort(grpc.StatusCode.UNAVAILABLE, "Stream removed (Socket closed)")
        return b"\x08\x01"  # SERVING

    server.answers |= {PREDICT: answer, HEALTH: health}
    with (
        Link(server.port, largest_answer=1 << 20) as cut,
        Client(cut.address, model="m") as caller,
        pytest.raises(Unavailable),
    ):
        caller.predict(INPUTS)
    assert server.calls.count(PREDICT) == 1


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
async def test_a_deadline_that_passes_ends_the_call(scripted: Start, asynchronous: bool) -> None:
    server, gate = scripted(), threading.Event()
    server.answers[PREDICT] = lambda request, context: bytes(gate.wait(10))
    begun = time.monotonic()
    if asynchronous:
        async with AsyncClient(server.address, model="m") as caller:
            with pytest.raises(DeadlineExceeded):
                await caller.predict(INPUTS, timeout=0.3)
    else:
        with Client(server.address, model="m", timeout=0.3) as caller, pytest.raises(DeadlineExceeded):
            caller.predict(INPUTS)
    gate.set()
    assert time.monotonic() - begun < 5


def test_retries_end_with_the_deadline(scripted: Start) -> None:
    port = free_port()
    begun = time.monotonic()
    with (
        Client(f"127.0.0.1:{port}", model="m", timeout=1.0) as caller,
        pytest.raises((Unavailable, DeadlineExceeded)),
    ):
        caller.predict(INPUTS)
    assert time.monotonic() - begun < 3


def test_where_nothing_listens_the_error_comes_within_seconds() -> None:
    begun = time.monotonic()
    with (
        Client(f"127.0.0.1:{free_port()}", model="m") as caller,
        pytest.raises(Unavailable, match="nothing listens there"),
    ):
        caller.predict(INPUTS)
    assert time.monotonic() - begun < 8


def test_an_unknown_host_is_named() -> None:
    with (
        Client("vgg.invalid:8500", model="m", connect_timeout=0.5) as caller,
        pytest.raises(Unavailable, match=r"vgg\.invalid:8500.*host's name is not known"),
    ):
        caller.predict(INPUTS)


def test_a_port_of_plain_http_is_no_grpc_port() -> None:
    web = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    web.RequestHandlerClass.log_message = lambda *arguments: None  # type: ignore[method-assign]
    thread = threading.Thread(target=web.serve_forever)
    thread.start()
    try:
        with (
            Client(f"127.0.0.1:{web.server_port}", model="m") as caller,
            pytest.raises(Unavailable, match="not a gRPC port"),
        ):
            caller.predict(INPUTS)
    finally:
        web.shutdown()
        thread.join()
        web.server_close()


def test_a_client_that_waits_is_there_before_its_server(scripted: Start) -> None:
    port = free_port()
    with Client(f"127.0.0.1:{port}", model="m") as caller:
        waiting = threading.Thread(target=caller.wait_until_ready, args=(30,))
        waiting.start()
        time.sleep(0.5)
        server = scripted(port=port)
        server.answers[GET_MODEL_METADATA] = lambda request, context: b""
        waiting.join(30)
        assert not waiting.is_alive()
        server.answers[PREDICT] = lambda request, context: predict_answer(y=[7.0])
        assert caller.predict(INPUTS)["y"].tolist() == [7.0]


async def test_an_async_client_waits_for_its_server(scripted: Start) -> None:
    server = scripted()
    remaining = iter(range(2))

    def metadata(request: bytes, context: grpc.ServicerContext) -> bytes:
        if next(remaining, None) is not None:
            context.abort(grpc.StatusCode.NOT_FOUND, "Servable not found for request: Latest(m)")
        return b""

    server.answers[GET_MODEL_METADATA] = metadata
    async with AsyncClient(server.address, model="m") as caller:
        await caller.wait_until_ready(10)
    assert server.calls.count(GET_MODEL_METADATA) == 3


def test_waiting_in_vain_says_that_no_server_answers() -> None:
    with (
        Client(f"127.0.0.1:{free_port()}", model="m") as caller,
        pytest.raises(Unavailable, match=r"not ready after 0\.5 s.*nothing listens there"),
    ):
        caller.wait_until_ready(0.5)


def test_waiting_in_vain_says_what_the_model_is_at(scripted: Start) -> None:
    server = scripted()
    server.answers[GET_MODEL_METADATA] = refusing(
        grpc.StatusCode.NOT_FOUND, "Servable not found for request: Latest(m)"
    )
    states = GetModelStatusResponse()
    states.model_version_status.add(version=3, state=20)
    broken = states.model_version_status.add(version=2, state=50)
    broken.status.error_code, broken.status.error_message = 5, "saved_model.pb is gone"
    server.answers[GET_MODEL_STATUS] = lambda request, context: states.SerializeToString()
    with (
        Client(server.address, model="m") as caller,
        pytest.raises(ModelNotFound, match=r"3 is LOADING, 2 is END \(saved_model\.pb is gone\)"),
    ):
        caller.wait_until_ready(0.3)


def test_a_server_restarted_under_an_open_client_is_found_again(scripted: Start) -> None:
    server = scripted()
    server.answers[PREDICT] = lambda request, context: predict_answer(y=[1.0])
    with Client(server.address, model="m") as caller:
        caller.predict(INPUTS)
        server.close()
        answers: list[object] = []
        waiting = threading.Thread(target=lambda: answers.append(caller.predict(INPUTS)["y"].tolist()))
        waiting.start()
        time.sleep(4)  # longer than the connect timeout, which holds for the first connection only
        again = scripted(port=server.port)
        again.answers[PREDICT] = lambda request, context: predict_answer(y=[2.0])
        waiting.join(20)
    assert answers == [[2.0]]


def test_the_token_travels_as_a_bearer_token(scripted: Start) -> None:
    server = scripted()
    server.answers[PREDICT] = lambda request, context: predict_answer(y=[1.0])
    with Client(server.address, model="m", token="secret") as caller:
        caller.predict(INPUTS)
    assert server.metadata[0]["authorization"] == "Bearer secret"


def test_compressed_requests_are_smaller_on_the_wire(scripted: Start) -> None:
    server = scripted()
    server.answers[PREDICT] = lambda request, context: predict_answer(y=[float(len(request))])
    with (
        Link(server.port) as counting,
        Client(counting.address, model="m", compression="gzip") as caller,
    ):
        (received,) = caller.predict({"x": np.zeros(1 << 18, np.float32)})["y"].tolist()
    assert received > 1 << 20
    assert counting.sent < 1 << 16


def test_an_answer_of_many_megabytes_arrives(scripted: Start) -> None:
    server = scripted()
    expected = np.random.default_rng(0).integers(0, 1000, (1, 2048, 2048), np.uint16)
    response = predict_answer(label_map=expected)
    server.answers[PREDICT] = lambda request, context: response
    with Client(server.address, model="m") as caller:
        np.testing.assert_array_equal(caller.predict(INPUTS)["label_map"], expected)


def test_the_longest_timeout_is_one_that_grpc_can_count(scripted: Start) -> None:
    server = scripted()
    server.answers[PREDICT] = lambda request, context: predict_answer(y=[7.0])
    with Client(server.address, model="m") as caller:
        assert caller.predict(INPUTS, timeout=1e9)["y"].tolist() == [7.0]


def waiting_for_the_end(asked: threading.Event) -> Callable[[bytes, grpc.ServicerContext], bytes]:
    def wait(request: bytes, context: grpc.ServicerContext) -> bytes:
        asked.set()
        while context.is_active():
            time.sleep(0.01)
        return b""

    return wait


async def test_close_ends_the_async_calls_of_other_tasks_with_an_error(scripted: Start) -> None:
    server, asked = scripted(), threading.Event()
    server.answers[PREDICT] = waiting_for_the_end(asked)
    caller = AsyncClient(server.address, model="m")
    task = asyncio.create_task(caller.predict(INPUTS))
    assert await asyncio.to_thread(asked.wait, 20)
    await caller.close()
    with pytest.raises(ServingError, match="the call was cancelled: the client was closed") as caught:
        await task
    assert caught.value.code is grpc.StatusCode.CANCELLED


async def test_a_task_that_is_cancelled_stays_cancelled_and_ends_its_call(scripted: Start) -> None:
    server, asked, ended = scripted(), threading.Event(), threading.Event()
    wait = waiting_for_the_end(asked)

    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        context.add_callback(ended.set)
        return wait(request, context)

    server.answers[PREDICT] = answer
    async with AsyncClient(server.address, model="m") as caller:
        task = asyncio.create_task(caller.predict(INPUTS))
        assert await asyncio.to_thread(asked.wait, 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(ended.wait, 5)


def test_a_closed_client_says_so(scripted: Start) -> None:
    caller = Client(scripted().address, model="m")
    caller.close()
    with pytest.raises(RuntimeError, match="closed"):
        caller.predict(INPUTS)


def test_threads_share_a_client(scripted: Start) -> None:
    server = scripted()
    server.answers[PREDICT] = lambda request, context: predict_answer(y=[1.0])
    failures: list[ServingError] = []
    with Client(server.address, model="m") as caller:

        def work() -> None:
            try:
                for _ in range(20):
                    caller.predict(INPUTS)
            except ServingError as error:
                failures.append(error)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not failures
    assert len(server.calls) == 160
