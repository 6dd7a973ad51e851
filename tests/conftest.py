"""What most tests stand on: a demo checkpoint, the model exported from it, a real server process that serves it."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import pytest

ROOT = Path(__file__).parent.parent

# The longest first, so that no worker is left with one of them while the other has nothing to do.
LONG = (
    "test_demo_accuracy.py",
    "test_networks.py",
    "test_export_command.py",
    "test_readme.py",
    "test_precision_export.py",
    "test_export_killed.py",
    "test_output_stride.py",
    "test_export_numbers.py",
    "test_new_version_under_load.py",
    "test_fcn.py",
    "test_hostile_images.py",
    "test_export_images.py",
    "test_export_memory.py",
)

# A test run started in the background ignores SIGINT, and so would every process that the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Commands show TensorFlow's messages to whoever sets this.
os.environ.pop("TF_CPP_MIN_LOG_LEVEL", None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files for `--no-loadscope-reorder`, with which xdist hands them out as they come."""
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))


def run_module(module: str, *arguments: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run `python -m module arguments` to its end, as a user does."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=500, check=False
    )


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Call a command's `main` in this process: a new one takes seconds to import TensorFlow."""

    def call(main: Callable[[list[str]], int], *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        capsys.readouterr()
        with mock.patch.dict(os.environ):  # what the command sets is not for the next
            status = main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, status, printed.out, printed.err)

    return call


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Callable[..., Path]:
    """Make a folder that all workers of this run share: the first to ask for it makes it."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent

    def once(name: str, make: Callable[[Path], subprocess.CompletedProcess[str] | None]) -> Path:
        folder = shared / name
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.exists():
                draft = shared / f"{name}.draft"
                draft.mkdir()
                result = make(draft)
                assert not result or result.returncode == 0, result.stderr
                draft.rename(folder)
        return folder

    return once


@pytest.fixture(scope="session")
def demo_checkpoint(made_once: Callable[..., Path]) -> Path:
    """A full-size V1 checkpoint with its classes' names beside it."""
    folder = made_once("demo_checkpoint", lambda folder: run_module("export.demo", folder / "vgg_16.ckpt"))
    return folder / "vgg_16.ckpt"


@pytest.fixture(scope="session")
def checkpoint_1000(made_once: Callable[..., Path]) -> Path:
    """A V1 checkpoint with random weights and ImageNet's number of classes."""

    def make(folder: Path) -> None:
        from slimserve.export.demo.checkpoint_writer import write_checkpoint
        from slimserve.export.demo.random_weights import random_checkpoint

        write_checkpoint(folder / "vgg_16.ckpt", random_checkpoint(1000), "V1")

    return made_once("checkpoint_1000", make) / "vgg_16.ckpt"


@pytest.fixture(scope="session")
def models(demo_checkpoint: Path, made_once: Callable[..., Path]) -> Path:
    """A folder with vgg_16/1, exported from the demo checkpoint as the README says, with default options."""

    def make(folder: Path) -> subprocess.CompletedProcess[str]:
        for suffix in ("", ".labels.tsv"):
            (folder / f"vgg_16.ckpt{suffix}").symlink_to(f"{demo_checkpoint}{suffix}")
        return run_module("export", "--ckpt", "vgg_16.ckpt", cwd=folder)

    return made_once("exported_by_default", make) / "models"


@pytest.fixture(scope="session")
def small_network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of 6 MB, of a network that `python -m tests.support.small_network` exports."""
    from tests.support.small_network import small_checkpoint

    return small_checkpoint(tmp_path_factory.mktemp("small_network") / "small.ckpt")


@pytest.fixture(scope="session")
def small_models(small_network: Path, made_once: Callable[..., Path]) -> Path:
    """A folder with small/1, exported from it."""
    return made_once(
        "small_models",
        lambda folder: run_module(
            "tests.support.small_network",
            "--net",
            "small",
            "--ckpt",
            small_network,
            "--out",
            folder / "small",
        ),
    )


@pytest.fixture(scope="session")
def engine(models: Path) -> Iterator[str]:
    """Address of an embedded engine, a process of its own, that serves `models`."""
    command = [sys.executable, "-m", "serving_config", "up", "--engine", "embedded", "--port", "0"]
    command += ["--model", f"vgg_16={models / 'vgg_16'}"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if ready := re.match(r"ready: .* on (\S+)", line):
                yield ready[1]
                break
        else:
            pytest.fail("the engine ended before it was ready")
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="session")
def demo_scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's picture as a JPEG file."""
    from PIL import Image
    from slimserve.export.demo.landscape import demo_scene

    file = tmp_path_factory.mktemp("scene") / "scene.jpg"
    Image.fromarray(demo_scene()[0]).save(file, quality=92)
    return file
