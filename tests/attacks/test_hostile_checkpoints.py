"""Mutated and crafted checkpoints are refused in one line or read right, within bounds, and leave nothing behind."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from export.checkpoint import open_checkpoint
from export.checkpoint_writer import write_checkpoint
from export.demo.random_weights import random_checkpoint
from tests import archives
from tests.checkpoints import crafted_v2, flip, small_tensors, tensorflow_v1
from tests.conftest import ROOT, run_module


@pytest.fixture(autouse=True)
def quiet_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command shows TensorFlow's messages to those who set this."""
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)


def attack(count: int, seed: int) -> dict[str, object]:
    """Run the attack in a process of its own; return its summary."""
    command = [sys.executable, "-m", "tests.attacks.hostile_checkpoints"]
    command += ["--count", str(count), "--seed", str(seed)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-5000:]
    return json.loads(run.stdout)


def refused_by_the_command(path: Path, folder: Path) -> str:
    """Export a checkpoint into an empty folder; return the one line, the folder being as it was."""
    before = sorted(folder.rglob("*"))
    result = run_module("export", "--ckpt", path, cwd=folder)
    assert result.returncode == 1, result.stderr
    assert sorted(folder.rglob("*")) == before
    lines = [line for line in result.stderr.splitlines() if line]
    assert len(lines) == 1
    assert not result.stdout
    return lines[0]


def test_500_mutants_are_refused_or_read_right() -> None:
    summary = attack(500, seed=1)
    assert summary["outcomes"].keys() == {"refused", "read"}


def path_traversal(folder: Path) -> Path:
    return archives.outside(folder / "vgg.tar.gz", tensorflow_v1(folder / "v1", small_tensors()).read_bytes())


def sparse_bomb(folder: Path) -> Path:
    return archives.sparse(folder / "vgg.tar.gz", b"")


def absurd_shape(folder: Path) -> Path:
    return crafted_v2(folder / "vgg_16.ckpt", shape=(1 << 62, 1 << 62))


@pytest.mark.parametrize("make", [path_traversal, sparse_bomb, absurd_shape], ids=lambda make: make.__name__)
def test_the_command_refuses_in_one_line_and_writes_nothing(
    make: Callable[[Path], Path], tmp_path: Path
) -> None:
    path = make(tmp_path)
    assert str(path) in refused_by_the_command(path, tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("seed", [2, 3])
def test_20000_mutants_are_refused_or_read_right(seed: int) -> None:
    assert attack(20_000, seed)["outcomes"].keys() == {"refused", "read"}


@pytest.mark.soak
@pytest.mark.parametrize("format", ["V1", "V2"])
@pytest.mark.parametrize("seed", range(10))
def test_full_size_mutants_are_refused_by_the_command(format: str, seed: int, tmp_path: Path) -> None:
    source = random.Random(f"{format} {seed}")
    path = tmp_path / "vgg_16.ckpt"
    write_checkpoint(path, random_checkpoint(10), format)
    file = path if format == "V1" else tmp_path / "vgg_16.ckpt.data-00000-of-00001"
    if seed % 2:
        flip(file, source.randrange(file.stat().st_size))
    else:
        os.truncate(file, source.randrange(file.stat().st_size))
    assert "is damaged" in refused_by_the_command(path, tmp_path)


@pytest.mark.soak
def test_a_full_size_archive_is_refused_when_a_byte_of_it_flips(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "vgg_16.ckpt", random_checkpoint(10))
    path = tmp_path / "vgg.tar.gz"
    subprocess.run(["tar", "czf", path, "-C", tmp_path, "vgg_16.ckpt"], check=True)
    with open_checkpoint(path) as checkpoint:
        assert checkpoint.size == (tmp_path / "vgg_16.ckpt").stat().st_size
    for share in (0.1, 0.5, 0.9):
        damaged = Path(shutil.copy(path, tmp_path / "damaged.tar.gz"))
        flip(damaged, int(share * damaged.stat().st_size))
        assert "damaged" in refused_by_the_command(damaged, tmp_path)
