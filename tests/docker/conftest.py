"""A Docker engine, an image of the server in it, and rendered deployments that run."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from slimserve import Client, ServingError
from slimserve.serving_config.cli import main
from slimserve.serving_config.server import ports

from tests.docker import engine, image
from tests.support.recorded import RECORDED
from tests.unit.serving_config.engine_calls import write_slow_model

STAND_IN = "slimserve-stand-in:1"


@pytest.fixture(scope="session")
def docker() -> Iterator[engine.Docker]:
    with engine.running() as found:
        yield found


@pytest.fixture(scope="session")
def server_image(docker: engine.Docker) -> str:
    """TensorFlow Serving's own, where SLIMSERVE_IMAGE names it; else one that holds the embedded engine."""
    named = os.environ.get("SLIMSERVE_IMAGE")
    if named is None:
        image.make(docker, STAND_IN)
    return named or STAND_IN


class Deployment:
    """A rendered folder, `deploy/` in the working directory, and its containers."""

    def __init__(self, docker: engine.Docker, words: list[str]) -> None:
        self.docker = docker
        self.file = Path("deploy/docker-compose.yml")
        names = ("GRPC_PORT", "REST_PORT", "PROMETHEUS_PORT")
        self.ports = {name: str(ports.free("127.0.0.1")) for name in names}
        self.address = f"127.0.0.1:{self.ports['GRPC_PORT']}"
        assert main(["render", "--for", "docker", "--force", *words]) == 0

    def compose(self, *words: str) -> str:
        return self.docker.compose(self.file, *words, **self.ports)

    def up(self) -> None:
        self.compose("up", "--detach", "--wait")

    def inside(self, line: str) -> str:
        """What a line of bash prints in the server's container."""
        return self.compose("exec", "-T", "serving", "bash", "-c", line).strip()

    def facts(self, template: str) -> str:
        """What `docker inspect` says of the server's container."""
        return self.docker.run("inspect", "--format", template, self.container).strip()

    @property
    def container(self) -> str:
        return self.compose("ps", "--all", "--quiet", "serving").strip()

    def roll_out(self, *words: str) -> None:
        assert main([*words, "--model", "affine", "--server", self.address, "--yes"]) == 0

    def answer(self, label: str = "stable", **options: Any) -> list[float]:
        with Client(self.address, model="affine", version_label=label, **options) as client:
            return client.predict({"x": np.float32([1.0])}, timeout=20)["y"].tolist()

    def wait_for_answer(self) -> list[float]:
        end = time.monotonic() + 60
        while True:
            try:
                return self.answer()
            except ServingError:
                assert time.monotonic() < end
                time.sleep(0.5)


@pytest.fixture
def deployed(
    docker: engine.Docker, server_image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Deployment]]:
    """Renders a deployment of two small models, whose containers end with the test."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(RECORDED / "models" / "affine", "models/affine")
    write_slow_model(Path("models/slow/1"))
    models = ["--model", "affine=models/affine", "--model", "slow=models/slow", "--versions", "affine=1"]
    with contextlib.ExitStack() as stack:

        def render(*words: str) -> Deployment:
            found = Deployment(docker, [*models, "--image", server_image, *words])
            down = ("--profile", "monitoring", "down", "--timeout", "1", "--volumes")
            stack.callback(found.compose, *down)
            return found

        yield render
