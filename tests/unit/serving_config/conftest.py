"""Serving processes started by their command line, and small models to serve."""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.recorded import RECORDED
from tests.support.serving import Serving

if TYPE_CHECKING:
    from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

    from tests.unit.serving_config.engine_calls import Caller
    from tests.unit.serving_config.rollout_deployment import Deployment


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests run in a folder of their own, so that nothing of the project's is found beside their files."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def serving() -> Iterator[Callable[..., Serving]]:
    """Starts processes that end with the test."""
    with contextlib.ExitStack() as stack:

        def start(*arguments: object, env: dict[str, str] | None = None) -> Serving:
            started = Serving(*arguments, env=env)
            stack.callback(started.close)
            return started

        yield start


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
    shutil.copytree(RECORDED / "models" / "affine" / "1", tmp_path / "affine" / "1")
    return tmp_path / "affine"
