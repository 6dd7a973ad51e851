"""What is installed: the wheel of this checkout, environments that hold it and little else, a server to ask."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.serving import Serving

WHEELS = Path(sys.prefix) / "wheels"  # `make setup` downloads them
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"]


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a build reads: setuptools leaves its work among the sources."""
    folder = tmp_path_factory.mktemp("source") / "slimserve"
    for part in ("client", "export", "serving_config", "installed"):
        shutil.copytree(
            ROOT / part, folder / part, symlinks=True, ignore=shutil.ignore_patterns("__pycache__")
        )
    for file in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, folder)
    return folder


@pytest.fixture(scope="session")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    build = ["wheel", "--no-index", "--no-build-isolation", "--no-deps", "-w", str(folder), str(source)]
    subprocess.run([*PIP, *build], check=True, cwd=folder)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="session")
def server(small_models: Path) -> Iterator[str]:
    """The address of an engine, a process of its own, that serves a small network as `small`."""
    serving = Serving("--engine", "embedded", "--model", f"small={small_models / 'small'}", "--port", 0)
    yield serving.address
    serving.close()


def environment(folder: Path) -> Path:
    """Make an environment of this Python that holds nothing; return its interpreter."""
    venv.create(folder, symlinks=True)
    return folder / "bin" / "python"


def install(python: Path, *what: str | Path) -> None:
    """Install into the environment of that interpreter, from the wheels that `make setup` downloads."""
    links = ["--no-index", "--find-links", str(WHEELS)]
    subprocess.run([*PIP, "--python", str(python), "install", *links, *map(str, what)], check=True)


def run(
    *command: str | Path, cwd: Path, expected: int = 0, limit: int = 100
) -> subprocess.CompletedProcess[str]:
    """Run a command of an environment to its end, which must have the expected exit code."""
    end = subprocess.run(
        [*map(str, command)], cwd=cwd, capture_output=True, text=True, timeout=limit, check=False
    )
    assert end.returncode == expected, f"{command}\n{end.stdout}\n{end.stderr}"
    return end
