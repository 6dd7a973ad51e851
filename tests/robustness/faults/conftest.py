"""A real engine whose model counts how often it ran, a proxy before it, and both clients."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from slimserve import AsyncClient, Client

from tests.robustness.faults.proxy import Proxy
from tests.support.serving import Serving


def write_counting_model(path: Path) -> None:
    """A model that answers with `size` bytes and with how often it has done so; `ballast` makes requests large."""
    import tensorflow as tf

    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        size, ballast = v1.placeholder(tf.int32, [], "size"), v1.placeholder(tf.uint8, [None], "ballast")
        count = v1.Variable(0, dtype=tf.int64, use_resource=True)
        # An empty answer does not count, so that a test can look.
        counted = v1.assign_add(count, tf.cast(size > 0, tf.int64))
        outputs = {"payload": tf.fill([size], tf.constant(7, tf.uint8)), "count": tf.identity(counted)}
        outputs["ballast"] = tf.size(ballast)
        session.run(count.initializer)
        signature = v1.saved_model.predict_signature_def({"size": size, "ballast": ballast}, outputs)
        builder = v1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()


def inputs(size: int, ballast: int = 1) -> dict[str, np.ndarray]:
    """What to send to the counting model: how large an answer to ask for, and how large the request is."""
    return {"size": np.int32(size), "ballast": np.zeros(ballast, np.uint8)}


class Server:
    """The engine that serves the counting model."""

    def __init__(self, address: str) -> None:
        self.port = int(address.rpartition(":")[2])
        self._client = Client(address, model="counting")

    def count(self) -> int:
        """How many calls with an answer it has run so far; asked past the proxy."""
        return int(self._client.predict(inputs(0), outputs=["count"])["count"])

    def close(self) -> None:
        self._client.close()


@pytest.fixture(scope="session")
def counting_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("counting")
    write_counting_model(folder / "1")
    process = Serving("--engine", "embedded", "--model", f"counting={folder}", "--port", 0)
    with contextlib.closing(process), contextlib.closing(Server(process.address)) as server:
        yield server


@pytest.fixture
def proxy(counting_server: Server) -> Iterator[Proxy]:
    with contextlib.closing(Proxy(counting_server.port)) as started:
        yield started


class Sync:
    """`Client`, from a thread for each call."""

    def __init__(self, address: str, **options: Any) -> None:
        self.client = Client(address, model="counting", **options)

    async def predict(self, *arguments: Any, **named: Any) -> dict[str, np.ndarray]:
        return await asyncio.to_thread(self.client.predict, *arguments, **named)

    async def wait_until_ready(self, timeout: float) -> None:
        await asyncio.to_thread(self.client.wait_until_ready, timeout)

    async def close(self) -> None:
        self.client.close()


def asynchronous(address: str, **options: Any) -> AsyncClient:
    return AsyncClient(address, model="counting", **options)


@pytest_asyncio.fixture(params=[Sync, asynchronous], ids=["sync", "async"])
async def connect(request: pytest.FixtureRequest) -> AsyncIterator[Callable[..., Any]]:
    """Makes clients, of one kind and then of the other, that end with the test."""
    async with contextlib.AsyncExitStack() as stack:

        def make(address: str, **options: Any) -> Any:
            made = request.param(address, **options)
            stack.push_async_callback(made.close)
            return made

        yield make
