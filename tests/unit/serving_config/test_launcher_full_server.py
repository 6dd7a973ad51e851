"""`up` waits for a server that is full already, as one that comes back to callers who retry."""

import itertools
import subprocess
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
from slimserve.serving_config.server import models_config, protocol
from slimserve.serving_config.up import child
from slimserve.serving_config.up.server_command import Launch

_REFUSED = 12
"""More than one call repeats."""


@pytest.fixture
def full_server() -> Iterator[int]:
    """The port of a server that is healthy, and has no thread for the first status calls."""
    calls = itertools.count()

    def health(request: Any, context: grpc.ServicerContext) -> Any:
        return protocol.HealthCheckResponse(status=protocol.HealthCheckResponse.SERVING)

    def status(request: Any, context: grpc.ServicerContext) -> Any:
        if next(calls) < _REFUSED:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "Server Threadpool Exhausted")
        return protocol.GetModelStatusResponse(model_version_status=[{"version": 1, "state": 30}])

    server = grpc.server(futures.ThreadPoolExecutor(2))
    for name, method, call, request in (
        ("grpc.health.v1.Health", "Check", health, protocol.HealthCheckRequest),
        ("tensorflow.serving.ModelService", "GetModelStatus", status, protocol.GetModelStatusRequest),
    ):
        handler = grpc.unary_unary_rpc_method_handler(
            call, request.FromString, lambda message: message.SerializeToString()
        )
        handlers = grpc.method_handlers_generic_handler(name, {method: handler})
        server.add_generic_rpc_handlers([handlers])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(0)


def test_a_server_that_is_full_when_it_starts_is_waited_for(full_server: int, tmp_path: Path) -> None:
    launch = Launch(
        config=models_config.from_folders([("m", tmp_path)]),
        config_file=tmp_path / "models.config",
        host="127.0.0.1",
        port=full_server,
        tensor_content=True,
        poll_seconds=1,
        calls=2,
    )
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            assert child._wait_ready(process, launch) == {"m": [1]}
        finally:
            process.kill()
