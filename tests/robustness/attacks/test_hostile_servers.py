"""Servers that answer with any status, at any point, with any metadata and any bytes."""

from __future__ import annotations

import collections
import contextlib
import itertools
from typing import Any

import grpc
import numpy as np
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from slimserve import Client, Retry, ServingError

from tests.unit.client.conftest import GET_MODEL_METADATA, GET_MODEL_STATUS, PREDICT, ScriptedServer

HEALTH = "/grpc.health.v1.Health/Check"
PIXELS = np.zeros((4, 4, 3), np.uint8)


ANYTHING = st.tuples(
    st.sampled_from(list(grpc.StatusCode)),
    st.text(max_size=20),
    st.binary(max_size=30),
    st.lists(st.tuples(st.sampled_from(["a", "b-bin", "retry-after"]), st.binary(max_size=9)), max_size=3),
    st.booleans(),
)


@pytest.mark.parametrize("examples", [8, pytest.param(400, marks=pytest.mark.soak)])
def test_whatever_a_server_does_the_errors_are_the_documented_ones(examples: int) -> None:
    @seed(15)
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(ANYTHING, min_size=1, max_size=6))
    def attack(behaviour: list[Any]) -> None:
        call_a_server_that(behaviour)

    attack()


def call_a_server_that(behaviour: list[Any]) -> None:
    """Every call of a client ends in an answer or a ServingError."""
    script = itertools.cycle(behaviour)

    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        code, details, data, metadata, early = next(script)
        sent = [(key, value if key.endswith("-bin") else value.hex()) for key, value in metadata]
        if early:
            context.send_initial_metadata(sent)
        context.set_trailing_metadata(sent)
        if code is not grpc.StatusCode.OK:
            context.abort(code, details)
        return data

    anything = collections.defaultdict(lambda: answer)
    server = ScriptedServer()
    server.answers = anything
    for method in (PREDICT, HEALTH, GET_MODEL_METADATA, GET_MODEL_STATUS):
        anything[method]
    try:
        for addresses in (server.address, [server.address, f"localhost:{server.port}"]):
            with Client(addresses, model="m", timeout=0.3, retry=Retry(backoff=0.01)) as client:
                for call in (client.metadata, client.status, lambda: client.predict({"x": [1.0]})):
                    with contextlib.suppress(ServingError):
                        call()
                with contextlib.suppress(ServingError):
                    client.classify(PIXELS)
    finally:
        server.close()
