"""Mutated and crafted checkpoints are refused in one line or read right, within bounds, and leave nothing behind."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from slimserve.export import cli
from slimserve.export.checkpoint.contents import open_checkpoint
from slimserve.export.checkpoint.formats.checked_file import CheckedFile
from slimserve.export.checkpoint.formats.slices import tensor_key
from slimserve.export.checkpoint.formats.sstable import TRAILER_SIZE, Table
from slimserve.export.demo.checkpoint_writer import write_checkpoint
from slimserve.export.demo.random_weights import random_checkpoint
from slimserve.export.errors import ExportError

from tests.conftest import ROOT, run_module
from tests.support import archives
from tests.support.checkpoints import crafted_v2, flip, small_tensors, tensorflow_v1, tensorflow_v2

Run = Callable[[Path, Path], "subprocess.CompletedProcess[str]"]


def by_a_process(path: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """`python -m export --ckpt path` in the folder."""
    return run_module("export", "--ckpt", path, cwd=folder)


@pytest.fixture
def in_this_process(
    call: Callable[..., subprocess.CompletedProcess[str]], monkeypatch: pytest.MonkeyPatch
) -> Run:
    """The same without the seconds that a new process takes to import TensorFlow."""

    def run(path: Path, folder: Path) -> subprocess.CompletedProcess[str]:
        monkeypatch.chdir(folder)
        return call(cli.main, "--ckpt", path)

    return run


def attack(count: int, seed: int, *options: str, module: str = "hostile_checkpoints") -> dict[str, object]:
    """Run the attack in a process of its own; return its summary."""
    command = [
        sys.executable,
        "-m",
        f"tests.robustness.attacks.{module}",
        "--count",
        str(count),
        "--seed",
        str(seed),
        *options,
    ]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-5000:]
    return json.loads(run.stdout)


def refused_by_the_command(path: Path, folder: Path, run: Run = by_a_process) -> str:
    """Export a checkpoint into an empty folder; return the one line, the folder being as it was."""
    before = sorted(folder.rglob("*"))
    result = run(path, folder)
    assert result.returncode == 1, result.stderr
    assert sorted(folder.rglob("*")) == before
    lines = [line for line in result.stderr.splitlines() if line]
    assert len(lines) == 1
    assert not result.stdout
    return lines[0]


def test_200_mutants_are_refused_or_read_right() -> None:
    summary = attack(200, seed=1)
    assert summary["outcomes"].keys() == {"refused", "read"}


def test_100_mutants_of_partitioned_variables_are_refused_or_read_right() -> None:
    summary = attack(100, 5, "--sliced")
    assert summary["outcomes"].keys() == {"refused", "read"}


def path_traversal(folder: Path) -> Path:
    return archives.outside(folder / "vgg.tar.gz", tensorflow_v1(folder / "v1", small_tensors()).read_bytes())


def sparse_bomb(folder: Path) -> Path:
    return archives.sparse(folder / "vgg.tar.gz", b"")


def absurd_shape(folder: Path) -> Path:
    return crafted_v2(folder / "vgg_16.ckpt", shape=(1 << 62, 1 << 62))


@pytest.mark.parametrize("make", [path_traversal, sparse_bomb, absurd_shape], ids=lambda make: make.__name__)
def test_the_command_refuses_in_one_line_and_writes_nothing(
    make: Callable[[Path], Path], tmp_path: Path, in_this_process: Run
) -> None:
    path = make(tmp_path)
    assert str(path) in refused_by_the_command(path, tmp_path, in_this_process)


def refusal(path: Path) -> str:
    """Read a checkpoint to its end, which must be refused; return the line."""
    with pytest.raises(ExportError) as caught, open_checkpoint(path) as checkpoint:
        dict(checkpoint.read_all(checkpoint.tensors))
    return str(caught.value)


def test_tensors_whose_places_were_exchanged_are_refused(tmp_path: Path) -> None:
    """Of one size, each with a checksum that is right."""
    source = np.random.default_rng(2)
    tensors = {
        f"vgg_16/{name}/weights": source.random((3, 3, 64, 256), np.float32) for name in ("a", "b", "c")
    }
    v1 = tensorflow_v1(tmp_path / "v1", tensors)
    v2 = tensorflow_v2(tmp_path / "v2", tensors)
    file = CheckedFile(v1)
    handles = {Table(file).block_of(tensor_key(name, 4)) for name in tensors}
    file.close()
    blocks = sorted(handle for handle in handles if handle.size > tensors["vgg_16/a/weights"].nbytes)
    exchange(v1, blocks[0].offset, blocks[1].offset, blocks[0].size + TRAILER_SIZE)
    size = tensors["vgg_16/a/weights"].nbytes
    exchange(tmp_path / "v2.data-00000-of-00001", 0, size, size)
    assert "is damaged" in refusal(v1)
    assert "its checksum does not match" in refusal(v2)


def exchange(path: Path, first: int, second: int, size: int) -> None:
    data = bytearray(path.read_bytes())
    data[first : first + size], data[second : second + size] = (
        data[second : second + size],
        data[first : first + size],
    )
    assert bytes(data) != path.read_bytes()
    path.write_bytes(data)


@pytest.mark.timeout(60)
def test_a_pipe_in_place_of_a_file_is_refused_at_once(tmp_path: Path) -> None:
    tensorflow_v2(tmp_path / "v2", small_tensors())
    data = tmp_path / "v2.data-00000-of-00001"
    data.unlink()
    os.mkfifo(data)
    os.mkfifo(tmp_path / "v1")
    assert "v2.data-00000-of-00001 is no regular file" in refusal(tmp_path / "v2")
    assert "is neither a file nor a folder" in refusal(tmp_path / "v1")


def test_holes_of_a_sparse_archive_are_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its 10 GB are on no disk, and shall not be."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    info = tarfile.TarInfo("vgg_16.ckpt")
    info.size = 10 << 30
    path = tmp_path / "vgg.tar"
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + b"\0\0\1")
    os.truncate(path, info.size + 2048)
    assert "is refused: it claims to unpack to more than" in refusal(path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", [2, 3])
@pytest.mark.parametrize("sliced", [(), ("--sliced",)], ids=["whole", "sliced"])
def test_20000_mutants_are_refused_or_read_right(sliced: tuple[str, ...], seed: int) -> None:
    assert attack(20_000, seed, *sliced)["outcomes"].keys() == {"refused", "read"}


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_500_mutants_are_refused_or_exported_right_by_the_command() -> None:
    assert attack(500, 4, module="hostile_exports")["outcomes"].keys() == {"refused", "exported"}


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
