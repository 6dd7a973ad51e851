"""What TensorFlow Serving refuses, as the client's errors."""

from __future__ import annotations

from collections.abc import Callable

import grpc
import numpy as np
import pytest
import slimserve
from slimserve import (
    Client,
    InvalidInput,
    MessageTooLarge,
    ModelNotFound,
    Overloaded,
    Retry,
    ServerError,
    ServingError,
    SignatureNotFound,
)

from tests.support.recorded import Case, recorded_cases
from tests.unit.client.conftest import (
    GET_MODEL_METADATA,
    GET_MODEL_STATUS,
    PREDICT,
    ScriptedServer,
    refusing,
)

Start = Callable[..., ScriptedServer]
INPUTS = {"x": np.ones(1, np.float32)}


def expected_error(case: Case) -> type[slimserve.ServingError]:
    if case.code == "NOT_FOUND" or case.name == "predict/label_unknown":
        return ModelNotFound
    if case.name in ("predict/signature_unknown", "classify/signature_unknown"):
        return SignatureNotFound
    return InvalidInput


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case.name)
        for case in recorded_cases()
        if case.code != "OK" and case.rpc != "reload"
    ],
)
def test_what_tensorflow_serving_refused_is_the_error_that_fits(case: Case, scripted: Start) -> None:
    server = scripted()
    method = case.rpc if case.rpc in (GET_MODEL_METADATA, GET_MODEL_STATUS) else PREDICT
    server.answers[method] = refusing(grpc.StatusCode[case.code], case.message)
    with Client(server.address, model="affine", version=99) as caller:
        call = {GET_MODEL_METADATA: caller.metadata, GET_MODEL_STATUS: caller.status}.get(
            method, lambda: caller.predict(INPUTS, signature="nothing")
        )
        with pytest.raises(expected_error(case)) as caught:
            call()
    assert caught.value.code is grpc.StatusCode[case.code]
    assert caught.value.details == case.message
    assert "\n" not in str(caught.value)


def test_a_missing_version_is_named_with_the_model_and_the_server(scripted: Start) -> None:
    server = scripted()
    server.answers[PREDICT] = refusing(
        grpc.StatusCode.NOT_FOUND, "Servable not found for request: Specific(vgg_16, 99)"
    )
    with (
        Client(server.address, model="vgg_16", version=99) as caller,
        pytest.raises(ModelNotFound, match=f"version 99 of model 'vgg_16' is not served at {server.address}"),
    ):
        caller.predict(INPUTS)


def test_a_missing_signature_is_named(scripted: Start) -> None:
    server = scripted()
    server.answers[PREDICT] = refusing(
        grpc.StatusCode.FAILED_PRECONDITION, 'Serving signature key "logits" not found.'
    )
    with (
        Client(server.address, model="vgg_16") as caller,
        pytest.raises(SignatureNotFound, match="model 'vgg_16' has no signature 'logits'"),
    ):
        caller.predict(INPUTS, signature="logits")


def test_a_server_with_too_many_calls_is_out_of_room(scripted: Start) -> None:
    server = scripted()
    server.answers[PREDICT] = refusing(grpc.StatusCode.RESOURCE_EXHAUSTED)
    with (
        Client(server.address, model="m", retry=Retry(backoff=0.01)) as caller,
        pytest.raises(Overloaded, match="has no room for the call, in its queue or its memory") as caught,
    ):
        caller.predict(INPUTS)
    assert caught.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert len(server.calls) == Retry().attempts


@pytest.mark.parametrize("code", ["INTERNAL", "UNAUTHENTICATED", "ABORTED", "FAILED_PRECONDITION"])
def test_other_failures_are_the_servers(code: str, scripted: Start) -> None:
    server = scripted()
    server.answers[PREDICT] = refusing(grpc.StatusCode[code], "out of luck")
    with (
        Client(server.address, model="m") as caller,
        pytest.raises(ServerError, match="out of luck") as caught,
    ):
        caller.predict(INPUTS)
    assert caught.value.code is grpc.StatusCode[code]
    assert len(server.calls) == 1


def test_a_server_that_is_no_tensorflow_serving_is_named_as_such(scripted: Start) -> None:
    with (
        Client(scripted().address, model="m") as caller,
        pytest.raises(ServerError, match="is it a TensorFlow Serving"),
    ):
        caller.predict(INPUTS)


def test_a_request_over_the_servers_limit_is_too_large(scripted: Start) -> None:
    server = scripted(largest_request=1000)
    server.answers[PREDICT] = lambda request, context: b""
    with Client(server.address, model="m") as caller, pytest.raises(MessageTooLarge, match="larger than max"):
        caller.predict({"x": np.zeros(1000)})


def test_an_answer_that_is_no_message_is_the_servers_fault(scripted: Start) -> None:
    server = scripted()
    server.answers[PREDICT] = lambda request, context: b"\xff\xff"
    with Client(server.address, model="m") as caller, pytest.raises(ServerError, match="cannot be read"):
        caller.predict(INPUTS)


@pytest.mark.parametrize(
    "arguments",
    [
        {"model": ""},
        {"model": "m", "version": 1, "version_label": "stable"},
        {"model": "m", "version": -4},
        {"model": "m", "timeout": 0},
        {"model": "m", "timeout": float("inf")},
        {"model": "m", "timeout": float("nan")},
        {"model": "m", "timeout": 1e10},
        {"model": "m", "connect_timeout": 1e10},
        {"model": "\udcff"},
        {"model": "m", "version_label": "\udcff"},
        {"model": "m", "compression": "brotli"},
        {"model": "m", "token": "two\nlines"},
        {"model": "m", "tls": "/nonexistent/ca.pem"},
        {"model": "m", "tls": __file__},
        {"model": "m", "tls": slimserve.TLS(certificate=__file__)},
        {"model": "m", "server": "http://localhost:8501"},
        {"model": "m", "server": "localhost:99999"},
        {"model": "m", "server": "local host"},
        {"model": "m", "server": ""},
        {"model": "m", "server": []},
        {"model": "m", "server": "vgg.example:8500", "token": "secret"},
        {"model": "m", "server": "localhost:8500,vgg.example:8500", "token": "secret"},
    ],
    ids=str,
)
def test_arguments_that_cannot_be_are_refused_at_once(arguments: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        Client(**arguments)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"x": np.zeros((0, 3))}, "empty batch"),
        ({"x": [object()]}, "not a tensor"),
        ({"x": [[1], [2, 3]]}, "not a tensor"),
        ({"x": ["\ud800"]}, "not a tensor"),
    ],
)
def test_inputs_that_are_no_tensors_are_refused_before_they_are_sent(
    inputs: dict[str, object], message: str
) -> None:
    with Client("localhost:1", model="m") as caller, pytest.raises(InvalidInput, match=message):
        caller.predict(inputs)


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"inputs": {"x": 1}, "signature": "\udcff"}, "signature"),
        ({"inputs": {"x": 1}, "outputs": ["y", "\udcff"]}, "output"),
        ({"inputs": {"\udcff": 1}}, "input"),
    ],
)
def test_a_name_that_is_not_text_is_refused_before_it_is_sent(
    arguments: dict[str, object], what: str
) -> None:
    with Client("localhost:1", model="m") as caller, pytest.raises(InvalidInput, match=f"{what} .*not text"):
        caller.predict(**arguments)


@pytest.mark.parametrize(
    ("server", "targets"),
    [
        ("localhost:8500", ("dns:///localhost:8500",)),
        ("vgg", ("dns:///vgg:8500",)),
        ("[::1]:9000", ("dns:///[::1]:9000",)),
        ("a:1, b:2", ("dns:///a:1", "dns:///b:2")),
        (["a:1", "b"], ("dns:///a:1", "dns:///b:8500")),
        ("dns:///vgg:8500", ("dns:///vgg:8500",)),
        ("ipv4:10.0.0.1:1,10.0.0.2:1", ("ipv4:10.0.0.1:1,10.0.0.2:1",)),
        ("unix:/run/vgg.sock", ("unix:/run/vgg.sock",)),
    ],
)
def test_addresses(server: str | list[str], targets: tuple[str, ...]) -> None:
    from slimserve.channels.addresses import parse_addresses

    assert parse_addresses(server) == targets


@pytest.mark.parametrize(
    ("code", "details", "kind"),
    [
        ("INVALID_ARGUMENT", "Batching Run() input tensors must have equal 0th-dimension size", InvalidInput),
        (
            "INVALID_ARGUMENT",
            "Batching session Run() input tensors must have at least one dimension",
            InvalidInput,
        ),
        (
            "FAILED_PRECONDITION",
            "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes",
            ServerError,
        ),
        (
            "FAILED_PRECONDITION",
            "Tensors with name 'images:0' from different tasks have different shapes and padding is turned off.",
            ServerError,
        ),
    ],
)
def test_what_batching_cannot_join_is_said_to_be_the_servers_batching(
    scripted: Start, code: str, details: str, kind: type[slimserve.ServingError]
) -> None:
    server = scripted()
    server.answers[PREDICT] = refusing(grpc.StatusCode[code], details)
    with (
        Client(server.address, model="affine") as caller,
        pytest.raises(kind, match=r"batches requests .*ask a server that does not.*'segment'") as caught,
    ):
        caller.predict(INPUTS, signature="segment")
    assert caught.value.details == details


@pytest.mark.parametrize("host", ["gpu..local", ".local", f"{'a' * 64}.local"])
def test_a_name_that_no_host_can_have_is_not_known(host: str) -> None:
    with (
        Client(f"{host}:8500", model="m", connect_timeout=0.5) as caller,
        pytest.raises(ServingError, match=r"no answer from .*: the host's name is not known"),
    ):
        caller.predict(INPUTS)


def test_metadata_over_the_servers_limit_are_named_and_sent_once(scripted: Start) -> None:
    server = scripted()
    with (
        Client(server.address, model="m", token="x" * 20_000) as caller,
        pytest.raises(MessageTooLarge, match=r"token= and metadata= \(--token-file\) are over the limit"),
    ):
        caller.predict(INPUTS)
    assert caller.statistics().repeated == 0
