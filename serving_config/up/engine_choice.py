"""Which engine serves: TensorFlow Serving on this machine, in Docker, or the embedded engine."""

import shutil
import subprocess

from ..errors import ServingConfigError
from .server_command import PROGRAM

ENGINES = ("auto", "docker", "binary", "embedded")


def choose(wanted: str) -> tuple[str, str]:
    """The engine, and why that one.

    Raises:
        ServingConfigError: the engine that was asked for is not on this machine.
    """
    if wanted == "embedded":
        return wanted, "asked for"
    if wanted == "binary":
        return wanted, f"asked for: {program()}"
    if wanted == "docker":
        fault = _docker_fault()
        if fault:
            raise ServingConfigError(f"{fault}, or serve with --engine embedded")
        return wanted, "asked for"
    if shutil.which(PROGRAM):
        return "binary", f"{program()} is on PATH"
    fault = _docker_fault()
    if not fault:
        return "docker", f"no {PROGRAM} on PATH, and Docker answers"
    return "embedded", f"no {PROGRAM} on PATH, and {fault}"


def program() -> str:
    """The path of tensorflow_model_server.

    Raises:
        ServingConfigError: it is not on PATH.
    """
    found = shutil.which(PROGRAM)
    if found is None:
        raise ServingConfigError(
            f"no {PROGRAM} on PATH: install TensorFlow Serving, or serve with --engine docker or embedded"
        )
    return found


def _docker_fault() -> str:
    """What is wrong with Docker here and what to do about it, or nothing."""
    if shutil.which("docker") is None:
        return "no docker on PATH: install Docker"
    try:
        asked = subprocess.run(
            ["docker", "version", "--format", "{{.Server.Version}}"],
            capture_output=True,
            text=True,
            timeout=20,
        )
    except subprocess.TimeoutExpired:
        return "the Docker daemon does not answer: restart it"
    if asked.returncode:
        reason = " ".join(asked.stderr.split())
        return f"the Docker daemon does not answer ({reason}): start it"
    return ""
