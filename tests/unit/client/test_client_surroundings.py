"""What surrounds a call: metadata, tokens that change, interceptors, proxies, the log, threads."""

from __future__ import annotations

import asyncio
import collections
import gc
import itertools
import logging
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from slimserve import AsyncClient, Client, InvalidInput, Retry, ServingError
from slimserve.channels.connections.proxies import environment_proxy
from slimserve.testing import Full, Model, Server

PIXELS = np.zeros((4, 4, 3), np.uint8)
VARIABLES = ("grpc_proxy", "https_proxy", "http_proxy", "no_grpc_proxy", "no_proxy")


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(Model(["cat"])) as started:
        yield started


async def classify(kind: type[Client] | type[AsyncClient], address: Any, options: Any, call: Any) -> None:
    if kind is Client:
        with Client(address, model="model", **options) as client:
            await asyncio.to_thread(client.classify, PIXELS, **call)
    else:
        async with AsyncClient(address, model="model", **options) as client:
            await client.classify(PIXELS, **call)


both = pytest.mark.parametrize("kind", [Client, AsyncClient])


@both
async def test_metadata_of_the_client_and_of_the_call_travel(kind: type[Client], server: Server) -> None:
    await classify(
        kind,
        server.address,
        {"metadata": {"tenant": "a"}},
        {"metadata": [("request-id", "7"), ("trace-bin", b"\0\1")]},
    )
    sent = server.calls[-1].metadata
    assert (sent["tenant"], sent["request-id"], sent["trace-bin"]) == ("a", "7", b"\0\1")


@pytest.mark.parametrize(
    "metadata",
    [{"Tenant": "a"}, {"tenant": "geheim\n"}, {"key-bin": "geheim"}, {"grpc-status": "0"}, ["tenant"], 7],
)
def test_metadata_that_cannot_be_sent_are_refused_without_their_values(metadata: Any) -> None:
    with pytest.raises(InvalidInput, match="metadata=") as caught:
        Client("localhost:1", model="m", metadata=metadata)
    assert "geheim" not in str(caught.value)


@both
async def test_a_token_that_is_a_function_is_asked_for_each_request(
    kind: type[Client], server: Server
) -> None:
    numbers = itertools.count(1)
    server.fail(Full(), times=1)
    options = {"token": lambda: f"token-{next(numbers)}", "retry": Retry(backoff=0.01)}
    await classify(kind, server.address, options, {})
    asked = [call.metadata["authorization"] for call in server.calls]
    assert asked == ["Bearer token-2", "Bearer token-3"]  # the first went with the question of health


def test_a_token_function_that_gives_no_token_is_not_repeated(server: Server) -> None:
    with (
        Client(server.address, model="model", token=lambda: "geheim\n") as client,
        pytest.raises(InvalidInput, match="cannot be sent in a header") as caught,
    ):
        client.classify(PIXELS)
    assert "geheim" not in str(caught.value)


async def a_token() -> str:
    return "token"


def test_a_token_that_is_a_coroutine_function_is_refused() -> None:
    with pytest.raises(InvalidInput, match="coroutine"):
        Client("localhost:1", model="m", token=a_token)  # type: ignore[arg-type]


class Noting(grpc.UnaryUnaryClientInterceptor):
    def __init__(self) -> None:
        self.methods: list[str] = []

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        self.methods.append(details.method.rpartition("/")[2])
        return continuation(details, request)


class NotingAio(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self) -> None:
        self.methods: list[str] = []

    async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        self.methods.append(details.method.decode().rpartition("/")[2])
        return await continuation(details, request)


@pytest.mark.parametrize(("kind", "interceptor"), [(Client, Noting), (AsyncClient, NotingAio)])
async def test_interceptors_see_each_request(kind: type[Client], interceptor: Any, server: Server) -> None:
    noting = interceptor()
    server.fail(Full(), times=1)
    options = {"interceptors": [noting], "retry": Retry(backoff=0.01)}
    await classify(kind, server.address, options, {})
    assert noting.methods == ["Check", "Predict", "Predict"]  # the first: how is the server?


@both
def test_what_is_no_interceptor_is_refused(kind: type[Client]) -> None:
    with pytest.raises(InvalidInput, match="interceptors="):
        kind("localhost:1", model="m", interceptors=[object()])


@both
async def test_a_span_continues_the_callers_trace(kind: type[Client], server: Server) -> None:
    otel = pytest.importorskip("opentelemetry.instrumentation.grpc")
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider

    tracers = TracerProvider()
    instrumentors = [otel.GrpcInstrumentorClient(), otel.GrpcAioInstrumentorClient()]
    for instrumentor in instrumentors:
        instrumentor.instrument(tracer_provider=tracers)
    try:
        with tracers.get_tracer("tests").start_as_current_span("caller") as span:
            await classify(kind, server.address, {}, {})
    finally:
        for instrumentor in instrumentors:
            instrumentor.uninstrument()
    trace_id = trace.format_trace_id(span.get_span_context().trace_id)
    assert str(server.calls[-1].metadata["traceparent"]).split("-")[1] == trace_id


class RecordingProxy:
    """Takes connections and remembers what came; says nothing."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.received = b""
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.received += connection.recv(1 << 16)
            connection.close()


@pytest.fixture
def recording(monkeypatch: pytest.MonkeyPatch) -> Iterator[RecordingProxy]:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    proxy = RecordingProxy()
    yield proxy
    proxy.listener.shutdown(socket.SHUT_RDWR)
    proxy.listener.close()


@both
@pytest.mark.parametrize("variable", ["grpc_proxy", "https_proxy", "http_proxy"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "ipv4:127.0.0.1", "LocalHost", "0.0.0.0"])
async def test_nothing_for_this_machine_goes_through_a_proxy_of_the_environment(
    kind: type[Client],
    variable: str,
    host: str,
    server: Server,
    recording: RecordingProxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(variable, recording.address)
    await classify(kind, f"{host}:{server.port}", {"token": "secret"}, {})
    assert server.calls[-1].metadata["authorization"] == "Bearer secret"
    assert recording.received == b""


def test_a_proxy_that_is_named_is_used(server: Server, recording: RecordingProxy) -> None:
    with (
        Client("vgg.test:8500", model="m", proxy=recording.address, connect_timeout=0.3) as client,
        pytest.raises(ServingError, match="through proxy="),
    ):
        client.classify(PIXELS)
    assert recording.received.startswith(b"CONNECT vgg.test:8500")


@pytest.mark.parametrize("host", ["vgg.test", "192.0.2.1", "ipv4:192.0.2.1", "[2001:db8::1]"])
def test_an_error_names_the_proxy_of_the_environment(
    host: str, recording: RecordingProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", recording.address)
    with (
        Client(f"{host}:8500", model="m", connect_timeout=0.3) as client,
        pytest.raises(ServingError, match=r"https_proxy.*no_proxy"),
    ):
        client.classify(PIXELS)


@pytest.mark.parametrize("arguments", [{"proxy": "socks5://a:1"}, {"proxy": "http://a:1", "token": "secret"}])
def test_a_proxy_that_cannot_be_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="proxy"):
        Client("localhost:1", model="m", **arguments)


@pytest.mark.parametrize(
    ("variables", "host", "proxy"),
    [
        ({}, "vgg.test", ""),
        ({"http_proxy": "http://p"}, "vgg.test", "http_proxy"),
        ({"http_proxy": "http://p", "no_proxy": "a.b, .test"}, "vgg.test", ""),
        ({"http_proxy": "http://p", "no_proxy": "test.org"}, "vgg.test", "http_proxy"),
        ({"http_proxy": "http://p", "no_grpc_proxy": "vgg.test", "no_proxy": "other"}, "vgg.test", ""),
        ({"http_proxy": "http://p", "no_proxy": "a.b,192.0.2.0/24"}, "192.0.2.7", ""),
        ({"http_proxy": "http://p", "no_proxy": "a.b,192.0.2.0/24"}, "192.0.3.7", "http_proxy"),
    ],
)
def test_which_hosts_are_reached_through_a_proxy(
    variables: dict[str, str], host: str, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    assert environment_proxy(host) == proxy


def test_the_log_has_a_line_for_each_request_sent_again_and_no_secret(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "slimserve")
    server.fail(Full(), times=2)
    with Client(
        server.address, model="model", token="geheim", metadata={"key": "geheim"}, retry=Retry(backoff=0.01)
    ) as client:
        client.classify(PIXELS)
    lines = collections.Counter(record.getMessage() for record in caplog.records)
    assert lines[f"{PREDICT}: RESOURCE_EXHAUSTED from {server.address}: sent again"] == 2
    assert "geheim" not in caplog.text


PREDICT = "/tensorflow.serving.PredictionService/Predict"


async def test_a_call_does_not_wait_for_what_the_application_does_in_the_threads_of_its_event_loop(
    server: Server,
) -> None:
    finish = threading.Event()
    jobs = [
        asyncio.create_task(asyncio.to_thread(finish.wait, 60)) for _ in range(40)
    ]  # there are 32 at most
    try:
        async with AsyncClient(server.address, model="model") as client:
            assert (await asyncio.wait_for(client.classify(PIXELS), 20)).top.name == "cat"
    finally:
        finish.set()
        await asyncio.gather(*jobs)


async def test_an_async_client_that_is_closed_leaves_no_thread(server: Server) -> None:
    async with AsyncClient(server.address, model="model") as client:
        await asyncio.gather(*(client.classify(PIXELS) for _ in range(10)))
    gc.collect()
    end = time.monotonic() + 20
    while (
        left := [each.name for each in threading.enumerate() if each.name.startswith("slimserve call")]
    ) and (time.monotonic() < end):
        await asyncio.sleep(0.01)
    assert left == []
