"""What is installed: the wheel of this checkout, environments that hold it and little else, a server to ask."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import ROOT
from tests.support.serving import Serving

Answers = dict[str, dict[str, object]]
HERE = Path(__file__).parent
WHEELS = Path(sys.prefix) / "wheels"  # `make setup` downloads them
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"]
PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
MINORS = range(10, 20)


def interpreter(minor: int) -> str | None:
    """Python 3.minor of this machine."""
    installed = sorted(PYENV.glob(f"3.{minor}.*/bin/python"))
    return str(installed[-1]) if installed else shutil.which(f"python3.{minor}")


PYTHONS = {f"3.{minor}": python for minor in MINORS if (python := interpreter(minor))}


def install_from_index(python: str, folder: Path, *what: str | Path) -> Path:
    """Install into a new environment of that Python, from the index; return its interpreter."""
    subprocess.run([python, "-m", "venv", folder], check=True)
    pip = [folder / "bin" / "python", "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    subprocess.run([*pip, "--only-binary=:all:", *what], check=True)
    return folder / "bin" / "python"


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


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture as a PNG file."""
    file = tmp_path_factory.mktemp("image") / "picture.png"
    Image.effect_noise((90, 70), 80).convert("RGB").save(file)
    return file


@pytest.fixture(scope="session")
def expected(server: str, image: Path) -> Answers:
    """What every call of the client answers in the environment of the tests, asked in both modes."""
    return json.loads(run(sys.executable, HERE / "every_call.py", server, image, cwd=HERE).stdout)


def environment(folder: Path) -> Path:
    """Make an environment of this Python that holds nothing; return its interpreter."""
    venv.create(folder, symlinks=True)
    return folder / "bin" / "python"


def install(python: Path, *what: str | Path) -> None:
    """Install into the environment of that interpreter, from the wheels that `make setup` downloads."""
    links = ["--no-compile", "--no-index", "--find-links", str(WHEELS)]
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


def same_answers(
    python: Path, server: str, image: Path, expected: Answers, folder: Path, first: str = ""
) -> None:
    """Make every call of the client in that environment, by an application in the folder; hold the answers equal."""
    application = folder / "application.py"
    application.write_text(first + (HERE / "every_call.py").read_text())
    answers = json.loads(run(python, application, server, image, cwd=folder).stdout)
    assert answers.keys() == expected.keys()
    for mode, of_mode in expected.items():
        for name, answer in of_mode.items():
            assert answers[mode][name] == answer, f"{mode}: {name}"
