"""Arguments of the wrong type are named, and so are proxies that answer instead of a server."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from slimserve import (
    AsyncClient,
    Client,
    InvalidInput,
    MessageTooLarge,
    Overloaded,
    Retry,
    ServerError,
    ServingError,
    Unavailable,
)
from slimserve.testing import Server

from tests.unit.client.http_answers import answering

PIXELS = np.zeros((4, 4, 3), np.uint8)
LARGE = np.zeros((600, 600, 3), np.uint8)
CLIENTS: dict[str, Callable[..., object]] = {"sync": Client, "async": AsyncClient}


@pytest.mark.parametrize("make", CLIENTS.values(), ids=CLIENTS)
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"server": None}, "a server is host:port, or a list of them, not None"),
        ({"server": 8500}, "not 8500"),
        ({"server": [8500]}, "a server address is text, not 8500"),
        ({"server": b"localhost"}, "a server is host:port"),
        ({"server": "::1"}, r"an IPv6 address stands in brackets, \[::1\]"),
        ({"server": "::1:8500"}, r"an IPv6 address stands in brackets, \[::1\]:8500"),
        ({"model": None}, "the model is text, not None"),
        ({"model": ""}, "the model has no name"),
        ({"version_label": 5}, "the version label is text, not 5"),
        ({"version_label": ""}, "the version label is empty"),
        ({"server": "localhost:８５００"}, "is not host:port"),
        ({"retry": 3}, "retry= is a Retry, .* not 3"),
        ({"interceptors": 5}, "interceptors= is a list of gRPC's interceptors, not 5"),
        ({"version": "1"}, "a version is a whole number, at least 0, not '1'"),
        ({"version": 1.0}, "not 1.0"),
        ({"version": True}, "not True"),
        ({"timeout": "5"}, "a timeout is a number of seconds above 0, 1e\\+09 at most, not '5'"),
        ({"timeout": None}, "not None"),
        ({"connect_timeout": "5"}, "not '5'"),
        ({"tls": 5}, "tls is True, a file, a TLS of files, or gRPC's credentials, not 5"),
        ({"token": 5}, "the token is text, or a function that gives it, not int"),
        ({"tls": None}, "tls is None: give False for none"),
        ({"token": ""}, "the token is empty: leave token= out"),
        ({"token": "Bearer geheim"}, "begins with 'Bearer ', which is added here"),
        ({"token": "geheim\n"}, "cannot be sent in a header, .*strip"),
        ({"compression": []}, "must be 'gzip', 'deflate' or None"),
    ],
    ids=str,
)
def test_an_argument_of_a_client_is_named(
    make: Callable[..., object], arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        make(**{"server": "localhost:1", "model": "m", **arguments})


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda client: client.classify(PIXELS, timeout="5"), "^a timeout is a number of seconds"),
        (lambda client: client.classify([PIXELS], timeout=True), "^a timeout is a number .* not True"),
        (lambda client: client.stream([PIXELS], timeout=-1), "^a timeout is a number .* not -1"),
        (lambda client: client.wait_until_ready("5"), "not '5'"),
        (lambda client: client.segment(LARGE, overlap=64), "an overlap is what tiles share: give tile="),
        (lambda client: client.segment(LARGE, tile="5"), "tile is a whole number, at least 1, not '5'"),
        (
            lambda client: client.segment(LARGE, tile=512, overlap=1.5),
            "overlap is a whole number, at least 0",
        ),
        (
            lambda client: client.segment(LARGE, tile=512, tiles_at_once="2"),
            "tiles_at_once is a whole number",
        ),
        (lambda client: client.segment(LARGE, tile=512, progress=5), "progress is a function"),
        (lambda client: client.segment(PIXELS, classes=[0, -1]), "a class id is a number from 0, not -1"),
        (lambda client: client.segment(PIXELS, classes=[True, False]), r"truth values: .*numpy.flatnonzero"),
        (lambda client: client.segment(PIXELS, groups={"tabby": ""}), r"not {'tabby': ''}"),
        (lambda client: client.classify({b"a", b"b"}), "a set, which has no order: pass a list"),
        (lambda client: client.stream(frozenset([b"a"])), "a set, which has no order: pass a list"),
        (lambda client: client.segment(PIXELS, groups=5), "groups are a mapping of class to group, .* not 5"),
        (lambda client: client.segment(PIXELS, groups={"cats": ["tabby"]}), r"not {'cats': \['tabby'\]}"),
        (lambda client: client.predict(PIXELS[None]), "the inputs are arrays by name, .* not a ndarray"),
        (lambda client: client.predict({5: PIXELS}), "the name of an input is text, not 5"),
        (lambda client: client.predict({"x": PIXELS}, signature=5), "the signature is text, not 5"),
        (lambda client: client.predict({"x": PIXELS}, outputs="y"), r"a list of names, outputs=\['y'\]"),
        (lambda client: client.predict({"x": PIXELS}, outputs=[5]), "the name of an output is text, not 5"),
        (lambda client: client.classify(""), "the path '': there is no such file"),
        (lambda client: client.classify(PIXELS.tolist()), r"images\[0\] is a list: .* numpy.array"),
    ],
)
def test_an_argument_of_a_call_is_named(call: Callable[[Client], object], words: str) -> None:
    with (
        Client("localhost:1", model="m", connect_timeout=0.1) as client,
        pytest.raises(InvalidInput, match=words),
    ):
        call(client)


def test_a_number_is_no_file_whose_descriptor_is_closed() -> None:
    descriptor = os.open(os.devnull, os.O_RDONLY)
    with pytest.raises(InvalidInput):
        Client("localhost:1", model="m", tls=descriptor)  # type: ignore[arg-type]
    os.close(descriptor)  # raises where it is not open any more


def test_numpys_numbers_are_numbers() -> None:
    retry = Retry(attempts=np.int64(3), backoff=np.float32(0.1), budget=np.float32(0.5))  # type: ignore[arg-type]
    with (
        Server() as server,
        Client(server.address, model="model", version=np.int64(1), retry=retry) as client,  # type: ignore[arg-type]
    ):
        client.wait_until_ready(20, replicas=np.int64(1))  # type: ignore[arg-type]
        assert client.classify(PIXELS, timeout=np.float32(20)).model_version == 1
        assert len(list(client.stream([PIXELS], concurrency=np.int64(2)))) == 1
        whole = client.segment(LARGE).label_map
        for kind in (np.uint8, np.uint16, np.uint64):
            cut = client.segment(LARGE, tile=kind(160), overlap=kind(32), tiles_at_once=kind(200))
            assert cut.label_map.shape == whole.shape


# What may lie in a variable that was mixed up, too long to be read in a message.
MIXED_UP = {
    "text": "x" * 100_000,
    "bytes": b"x" * 100_000,
    "list": [0] * 100_000,
    "key": {"a" * 100_000: 1},
    "value": {"x": "y" * 100_000},
    "array": np.zeros((500, 500)),
    "surrogates": "\ud800" * 100_000,
    "digits": 10**5000,
    "type": object,
}
CALLS: dict[str, Callable[[Client, Any], object]] = {
    **{
        name: lambda client, given, name=name: client.segment(LARGE, **{name: given})
        for name in (
            "tile",
            "overlap",
            "tiles_at_once",
            "progress",
            "classes",
            "groups",
            "timeout",
            "metadata",
        )
    },
    **{
        name: lambda client, given, name=name: list(client.stream([PIXELS], **{name: given}))
        for name in ("task", "concurrency")
    },
    "image": lambda client, given: client.classify(given),
    "image of a list": lambda client, given: client.classify([given]),
    "inputs": lambda client, given: client.predict(given),
    "input": lambda client, given: client.predict({"x": given}),
    "signature": lambda client, given: client.predict({"x": PIXELS}, signature=given),
    "outputs": lambda client, given: client.predict({"x": PIXELS}, outputs=given),
    "output": lambda client, given: client.predict({"x": PIXELS}, outputs=[given]),
    "wait": lambda client, given: client.wait_until_ready(given),
    "replicas": lambda client, given: client.wait_until_ready(1, replicas=given),
    **{
        name: lambda client, given, name=name: Retry(**{name: given})
        for name in ("attempts", "backoff", "budget", "on")
    },
    **{
        name: lambda client, given, name=name: Client(**{"server": "localhost:1", "model": "m", name: given})
        for name in ("server", "model", "version", "version_label", "timeout", "tls", "token", "compression")
    },
    **{
        f"{name} of a client": lambda client, given, name=name: Client(
            **{"server": "localhost:1", "model": "m", name: given}
        )
        for name in ("connect_timeout", "retry", "metadata", "interceptors", "proxy")
    },
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_no_argument_makes_a_message_too_long_to_read_or_an_error_of_another_kind(
    call: Callable[[Client, Any], object],
) -> None:
    lengths = {}
    with Server() as server, Client(server.address, model="model", timeout=5) as client:
        for what, given in MIXED_UP.items():
            try:
                call(client, given)
            except ServingError as error:
                lengths[what] = len(str(error))
    assert {what: length for what, length in lengths.items() if length > 1000} == {}


def test_the_outputs_of_an_iterator_are_the_ones_asked_for() -> None:
    with Server() as server, Client(server.address, model="model") as client:
        names = iter(["label_map"])
        assert list(client.predict({"images": PIXELS[None]}, outputs=names)) == ["label_map"]  # type: ignore[arg-type]


class Unready:
    """As a tensor of PyTorch that has a gradient."""

    def __array__(self, *arguments: object, **options: object) -> np.ndarray:
        raise RuntimeError("call detach() first")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (Unready(), "input 'images' is not a tensor: call detach"),
        (np.ma.array(PIXELS[None], mask=True), "masked array: .*filled"),
    ],
)
def test_what_does_not_become_a_tensor_is_named(given: Any, words: str) -> None:
    with Client("localhost:1", model="m") as client, pytest.raises(InvalidInput, match=words):
        client.predict({"images": given})


@pytest.mark.parametrize("opacity", [1.5, -0.1, "half", None])
def test_an_opacity_that_is_none_is_named(opacity: Any) -> None:
    with Server() as server, Client(server.address, model="model") as client:
        scene = client.segment(PIXELS)
    with pytest.raises(InvalidInput, match="opacity is a number from 0 to 1"):
        scene.overlay(opacity=opacity)


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (301, ServerError, "sends the call elsewhere"),
        (401, ServerError, "asks for credentials"),
        (403, ServerError, "does not let the call through"),
        (404, ServerError, "does not know the call"),
        (413, MessageTooLarge, "client_max_body_size"),
        (418, ServerError, "answers instead of a model server"),
        (429, Overloaded, "has no room for the call"),
        (502, Unavailable, "does not reach the model server"),
    ],
)
def test_a_proxy_that_answers_is_named(status: int, kind: type[ServingError], words: str) -> None:
    with (
        answering(status) as address,
        Client(address, model="m", timeout=2, connect_timeout=0.5) as client,
        pytest.raises(kind, match=rf"a proxy or a web server at {address}.* {words}.* \(HTTP {status}\)"),
    ):
        client.classify(PIXELS)
