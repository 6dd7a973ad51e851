"""What most tests stand on: a demo checkpoint, the model exported from it, a real server process that serves it."""

from __future__ import annotations

import gc
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from unittest import mock

import pytest

from tests.support.kept import Keeper
from tests.support.sources import ROOT, digest

Make = Callable[[Path], subprocess.CompletedProcess[str] | None]
Keep = Callable[..., Path]  # the fixture `kept` says of what

# The longest first, so that no worker is left with one of them while the other has nothing to do.
LONG = (
    "test_networks.py",
    "test_commands.py",
    "test_export_numbers.py",
    "test_export_command.py",
    "test_network_faults.py",
    "test_output_stride.py",
    "test_export_killed.py",
    "test_precision_export.py",
    "test_wrong_answers.py",
    "test_evaluate_demo.py",
    "test_fcn.py",
    "test_engine_memory.py",
    "test_engine_overload.py",
    "test_parity.py",
    "test_install_ops.py",
    "test_export_memory.py",
    "test_demo_checkpoint.py",
    "test_trained_checkpoints.py",
    "test_hostile_images.py",
    "test_launcher_embedded.py",
    "test_new_version_under_load.py",
    "test_client_against_a_model.py",
)

# A test run started in the background ignores SIGINT, and so would every process that the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Commands show TensorFlow's messages to whoever sets this.
os.environ.pop("TF_CPP_MIN_LOG_LEVEL", None)


# What is imported while tests are collected lives until the end. Garbage collections would search it for nothing.
gc.disable()


def pytest_collection_finish() -> None:
    gc.enable()
    gc.freeze()


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
def kept() -> Iterator[Keep]:
    """Make a folder, or take the one that an earlier run or another worker made of the same sources."""
    keeper = Keeper()

    def keep(name: str, make: Make, modules: Sequence[str], *arguments: str | Path) -> Path:
        """Return the folder, and make it if need be.

        Args:
            name: of what is made.
            make: fills an empty folder; a result, if it returns one, must be a success.
            modules: what makes it; it depends on all that they import.
            arguments: what else it depends on; of a kept folder, its path, which has the key of its own.
        """

        def made(folder: Path) -> None:
            result = make(folder)
            assert not result or result.returncode == 0, result.stderr

        return keeper.get(re.sub(r"\W+", "_", name), digest(modules, *map(str, arguments)), made)

    yield keep
    keeper.close()


@pytest.fixture(scope="session")
def demo_checkpoint(kept: Keep) -> Path:
    """A full-size V1 checkpoint with its classes' names beside it."""
    modules = ["slimserve.export.demo.training", "slimserve.export.demo.checkpoint_writer"]
    command = (
        ROOT / "export" / "demo" / "__main__.py"
    ).read_text()  # without the exporter, whose report it prints

    def make(folder: Path) -> subprocess.CompletedProcess[str]:
        return run_module("export.demo", folder / "vgg_16.ckpt")

    return kept("demo", make, modules, command) / "vgg_16.ckpt"


@pytest.fixture(scope="session")
def models(demo_checkpoint: Path, kept: Keep) -> Path:
    """A folder with vgg_16/1, exported from the demo checkpoint as the README says, with default options."""

    def make(folder: Path) -> subprocess.CompletedProcess[str]:
        for suffix in ("", ".labels.tsv"):
            (folder / f"vgg_16.ckpt{suffix}").symlink_to(f"{demo_checkpoint}{suffix}")
        return run_module("export", "--ckpt", "vgg_16.ckpt", cwd=folder)

    return kept("exported_by_default", make, ["slimserve.export.__main__"], demo_checkpoint) / "models"


@pytest.fixture(scope="session")
def small_network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of 6 MB, of a network that `python -m tests.support.small_network` exports."""
    from tests.support.small_network import small_checkpoint

    return small_checkpoint(tmp_path_factory.mktemp("small_network") / "small.ckpt")


@pytest.fixture(scope="session")
def small_models(small_network: Path, kept: Keep) -> Path:
    """A folder with small/1, exported from it."""
    arguments = ("--net", "small", "--ckpt", small_network, "--out")
    module = "tests.support.small_network"
    return kept("small_models", lambda folder: run_module(module, *arguments, folder / "small"), [module])


@pytest.fixture(scope="session")
def narrow_models(kept: Keep) -> Path:
    """A folder with vgg_16/1: VGG-16 with a sixteenth of its channels, random weights and the demo's classes."""

    def make(folder: Path) -> None:
        from slimserve.export.plan.options import GraphOptions

        from tests.support.narrow import export_narrow

        export_narrow(folder, GraphOptions())

    return kept("narrow", make, ["tests.support.narrow"])


@pytest.fixture(scope="session")
def engine(narrow_models: Path) -> Iterator[str]:
    """Address of an embedded engine, a process of its own, that serves the narrow VGG-16 as vgg_16."""
    command = [sys.executable, "-m", "serving_config", "up", "--engine", "embedded", "--port", "0"]
    command += ["--model", f"vgg_16={narrow_models / 'vgg_16'}"]
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
