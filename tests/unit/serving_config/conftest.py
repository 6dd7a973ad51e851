"""Serving processes started by their command line, and small models to serve."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest

if TYPE_CHECKING:
    from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

    from tests.unit.serving_config.engine_calls import Caller
    from tests.unit.serving_config.rollout_deployment import Deployment

ROOT = Path(__file__).parents[3]
CONFORMANCE = ROOT / "tests" / "contract" / "recorded"
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class Serving:
    """`python -m serving_config up ...` as a child process."""

    def __init__(self, *arguments: object, env: dict[str, str] | None = None) -> None:
        command = [sys.executable, "-m", "serving_config", "up", *map(str, arguments), "--json"]
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115  closed by close()
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        while line and not line.startswith("{"):
            line = self.process.stdout.readline()
        if not line:
            self.process.wait(10)
        self.ready = json.loads(line) if line else None

    @property
    def address(self) -> str:
        assert self.ready is not None, self.stderr()
        return self.ready["address"]

    def channel(self) -> grpc.Channel:
        return grpc.insecure_channel(self.address, options=UNLIMITED)

    def stderr(self) -> str:
        self.log.seek(0)
        return self.log.read()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(30)

    def close(self) -> None:
        if self.process.poll() is None:
            # Not kill: only on Linux does a launcher that is killed take its server with it.
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.log.close()


@pytest.fixture
def serving() -> Iterator[Callable[..., Serving]]:
    """Starts processes that end with the test."""
    with contextlib.ExitStack() as stack:

        def start(*arguments: object, env: dict[str, str] | None = None) -> Serving:
            started = Serving(*arguments, env=env)
            stack.callback(started.close)
            return started

        yield start


@pytest.fixture(scope="session")
def conformance_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models.config of the recorded cases, with this machine's paths."""
    text = (CONFORMANCE / "models.config").read_text().replace("MODELS", str(CONFORMANCE / "models"))
    path = tmp_path_factory.mktemp("conformance") / "models.config"
    path.write_text(text)
    return path


@pytest.fixture(scope="session")
def conformance_server(conformance_config: Path) -> Iterator[Serving]:
    """The embedded engine with the models and labels of the recorded cases; do not reload or stop it."""
    server = Serving("--engine", "embedded", "--models-config", conformance_config, "--port", 0)
    yield server
    server.close()


@pytest.fixture(scope="session")
def conformance_server_tensor_content(conformance_config: Path) -> Iterator[Serving]:
    """The same, answering with tensor_content."""
    server = Serving(
        "--engine", "embedded", "--models-config", conformance_config, "--port", 0, "--tensor-content"
    )
    yield server
    server.close()


@pytest.fixture
def start_engine() -> Iterator[Callable[..., "Caller"]]:
    """Starts engines that end with the test; gives a caller of each."""
    with contextlib.ExitStack() as stack:

        def started(config: "ModelServerConfig", **options: object) -> "Caller":
            # Here, so that the tests of other commands do not wait for TensorFlow.
            from slimserve.serving_config.engine.server import Engine, Options

            from tests.unit.serving_config.engine_calls import connect

            engine = Engine(Options(port=0, poll_seconds=0.05, **options))
            stack.callback(engine.stop, grace=0)
            engine.start(config)
            caller = connect(engine.address)
            stack.callback(caller.channel.close)
            return caller

        yield started


@pytest.fixture
def deployment(tmp_path: Path, start_engine: Callable[..., "Caller"]) -> "Deployment":
    """A model on a running engine and its models.config, to roll versions out on."""
    from tests.unit.serving_config.rollout_deployment import Deployment

    return Deployment(tmp_path, start_engine)


@pytest.fixture(scope="session")
def slow_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version that takes as long as a request says."""
    from tests.unit.serving_config.engine_calls import write_slow_model

    path = tmp_path_factory.mktemp("slow") / "version"
    write_slow_model(path)
    return path


@pytest.fixture
def base_path(tmp_path: Path) -> Path:
    """A model's folder with version 1 in it."""
    shutil.copytree(CONFORMANCE / "models" / "affine" / "1", tmp_path / "affine" / "1")
    return tmp_path / "affine"
