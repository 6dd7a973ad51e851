"""Run TensorFlow Serving as a child process, and say when it is ready."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from ..errors import ServingConfigError
from ..server import models_config, ports
from ..server.api import ModelService
from . import ready, unready
from .server_command import Launch

_POLL_SECONDS = 0.25
_STOP_SECONDS = 15
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def serve(command: Sequence[str], engine: str, launch: Launch, clean_up: Sequence[str], as_json: bool) -> int:
    """Run the command until Ctrl-C or SIGTERM, its output passed on to stderr.

    Args:
        clean_up: a command for what may outlive the child, run only when the child had to be killed.

    Returns:
        0 when told to stop; the child has ended by then.

    Raises:
        ServingConfigError: the child ended by itself.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    # In a session of its own, so that Ctrl-C reaches it once, from here, and its children with it.
    process = subprocess.Popen(
        command, stdout=sys.stderr, start_new_session=True, preexec_fn=_ending_with(os.getpid())
    )
    try:
        models = _wait_ready(process, launch)
        ready.announce(engine, ports.address(launch.host, launch.port), models, as_json)
        while process.poll() is None:
            # Not wait(): a signal that arrives just before that call blocks would go unnoticed.
            time.sleep(_POLL_SECONDS)
        raise ServingConfigError(f"{_ended(process)}; its last messages stand above")
    except KeyboardInterrupt:
        return 0
    finally:
        _stop(process, clean_up)


def _ending_with(parent: int) -> Callable[[], None] | None:
    """What a child does before it becomes the server, so that it ends when its parent does, even by SIGKILL.

    Linux alone has prctl(2). SIGTERM, because `docker run` passes it on to its container.
    """
    try:
        prctl = ctypes.CDLL(None).prctl  # here: a child between fork and exec had better not load anything
    except (AttributeError, OSError, TypeError):
        return None

    def prepare() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it has ended in between
            os._exit(1)

    return prepare


def _wait_ready(process: subprocess.Popen[bytes], launch: Launch) -> dict[str, list[int]]:
    """The versions that answer, by model, once every model has one."""
    service = ModelService(ports.address(launch.host, launch.port), timeout=2)
    watch = unready.Watch(launch)
    try:
        while process.poll() is None:
            models = _opened(launch) if launch.ssl_config else _available(service, launch)
            if models is not None:
                return models
            watch.look(service)
            time.sleep(_POLL_SECONDS)
    finally:
        service.close()
    raise ServingConfigError(f"{_ended(process)} before it was ready; its last messages stand above")


def _available(service: ModelService, launch: Launch) -> dict[str, list[int]] | None:
    if not service.healthy():
        return None
    names = [model.name for model in launch.config.model_config_list.config]
    try:
        models = {name: service.available(name) for name in names}
    except ServingConfigError:  # it may be full with calls of others already; `unready` says what it answers
        return None
    return models if all(models.values()) else None


def _opened(launch: Launch) -> dict[str, list[int]] | None:
    """With mutual TLS the server answers only to its clients, but it opens the port when all models are loaded."""
    try:
        socket.create_connection((launch.host, launch.port), timeout=2).close()
    except OSError:
        return None
    versions: dict[str, list[int]] = {}
    for model in launch.config.model_config_list.config:
        if not models_config.is_remote(model.base_path):
            folder = models_config.on_this_machine(model.base_path, launch.models_root)
            versions[model.name] = sorted(models_config.wanted_versions(model, folder))
    return versions


def _ended(process: subprocess.Popen[bytes]) -> str:
    code = process.returncode
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    return f"the server {how}"


def _stop(process: subprocess.Popen[bytes], clean_up: Sequence[str]) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        if clean_up:
            subprocess.run(clean_up, capture_output=True, check=False)
