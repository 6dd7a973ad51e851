"""A checkpoint is read out of an archive; an archive that could do harm is refused before anything is unpacked."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from slimserve.export.checkpoint.contents import open_checkpoint
from slimserve.export.errors import ExportError

from tests.support import archives
from tests.support.archives import archive, member
from tests.support.checkpoints import flip, small_tensors, tensorflow_v1, tensorflow_v2

TENSORS = small_tensors()


@pytest.fixture(autouse=True)
def unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, of this test alone."""
    folder = tmp_path / "unpacked"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def v1_file(tmp_path: Path) -> Path:
    return tensorflow_v1(tmp_path / "vgg_16.ckpt", TENSORS)


def packed(path: Path, *files: Path) -> Path:
    return archive(path, *(member(file.name, file.read_bytes()) for file in files))


def refusal(path: Path, unpacked: Path) -> str:
    """Return the message; the temporary folder and the archive's must be as before."""
    before = sorted(path.parent.rglob("*"))
    with pytest.raises(ExportError) as caught:
        open_checkpoint(path)
    assert sorted(path.parent.rglob("*")) == before
    assert not list(unpacked.iterdir())
    return str(caught.value)


@pytest.mark.parametrize("name", ["vgg_16_2016_08_28.tar.gz", "vgg_16.tgz", "vgg_16.tar", "download"])
def test_the_checkpoint_in_an_archive_is_read(name: str, v1_file: Path) -> None:
    with open_checkpoint(packed(v1_file.with_name(name), v1_file)) as checkpoint:
        assert checkpoint.format == "V1"
        assert checkpoint.path.name == name
        assert all(np.array_equal(array, TENSORS[name]) for name, array in checkpoint.read_all(TENSORS))


def test_a_v2_checkpoint_in_an_archive_is_read(tmp_path: Path) -> None:
    prefix = tensorflow_v2(tmp_path / "model.ckpt-5", TENSORS)
    files = [Path(f"{prefix}{suffix}") for suffix in (".index", ".data-00000-of-00001")]
    notes = (
        member("train/README", b"fine-tuned"),
        member("train/checkpoint", b'model_checkpoint_path: "/gone"'),
    )
    inside = (member(f"train/{file.name}", file.read_bytes()) for file in files)
    with open_checkpoint(archive(tmp_path / "model.tar.gz", *notes, *inside)) as checkpoint:
        assert np.array_equal(checkpoint.read("global_step"), TENSORS["global_step"])


def test_what_was_unpacked_is_gone_after_use(v1_file: Path, unpacked: Path) -> None:
    with open_checkpoint(packed(v1_file.with_name("vgg.tar.gz"), v1_file)) as checkpoint:
        assert checkpoint.file.parent.parent == unpacked
    assert not list(unpacked.iterdir())


@pytest.mark.parametrize("name", ["slimserve-main", ".slimserve-unpacking-notes"])
def test_folders_of_the_user_stay(name: str, v1_file: Path, unpacked: Path) -> None:
    (unpacked / name).mkdir()
    open_checkpoint(packed(v1_file.with_name("vgg.tar.gz"), v1_file)).close()
    assert [path.name for path in unpacked.iterdir()] == [name]


def test_progress_goes_to_the_archives_size(tmp_path: Path) -> None:
    file = tensorflow_v1(tmp_path / "model", {"x": np.random.default_rng(0).random(1 << 20, np.float32)})
    steps: list[tuple[int, int]] = []
    path = packed(tmp_path / "model.tar.gz", file)
    open_checkpoint(path, lambda done, size: steps.append((done, size))).close()
    assert len(steps) > 2
    assert steps == sorted(steps)
    assert {size for _, size in steps} == {path.stat().st_size}


def test_a_damaged_checkpoint_in_an_archive_is_told_by_the_archives_name(
    v1_file: Path, unpacked: Path
) -> None:
    flip(v1_file, 60)
    path = packed(v1_file.with_name("vgg.tar"), v1_file)
    assert refusal(path, unpacked).startswith(f"{path}/vgg_16.ckpt is damaged: its checksum does not match")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (archives.outside, "is refused: its member ../../vgg_16.ckpt points outside the archive"),
        (archives.hidden_outside, "points outside the archive"),
        (archives.absolute, "its member /tmp/vgg_16.ckpt points outside the archive"),
        (archives.drive, "points outside the archive"),
        (archives.symbolic_link, "is refused: its member vgg_16.ckpt is a link or a device"),
        (archives.hard_link, "its member b.ckpt is a link or a device"),
        (archives.device, "is a link or a device"),
        (archives.pipe, "is a link or a device"),
        (archives.sparse, "is refused: its member vgg_16.ckpt is a sparse file"),
        (archives.old_sparse, "is refused: its member vgg_16.ckpt is a sparse file"),
        (archives.zeros, "is refused: it claims to unpack to more than"),
        (archives.claims_more, "is refused: it claims to unpack to more than"),
        (archives.long_header, "is a damaged archive: its headers are absurdly large"),
        (archives.nested_headers, "is a damaged archive"),
        (archives.many_members, "is refused: it has more than 1,000 members"),
        (archives.no_checkpoint, "is an archive that holds no checkpoint"),
        (
            archives.nested,
            "holds no checkpoint but run/inner.tar.gz: unpack it first (tar xf), then give that",
        ),
        (archives.two_checkpoints, "holds 2 checkpoints"),
        (archives.twice_the_same, "is in the archive twice"),
        (archives.truncated, "is a damaged archive"),
        (archives.flipped, "damaged"),
        (archives.gzip_of_something_else, "is compressed by gzip but no tar archive"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_an_archive_that_is_dangerous_damaged_or_beside_the_point_is_refused(
    make: Callable[[Path, bytes], Path], says: str, v1_file: Path, unpacked: Path
) -> None:
    assert says in refusal(make(v1_file.with_name("vgg.tar.gz"), v1_file.read_bytes()), unpacked)


@pytest.mark.parametrize("make", [archives.symbolic_link, archives.hard_link])
def test_a_link_in_an_archive_is_to_be_unpacked_by_who_trusts_it(
    make: Callable[[Path, bytes], Path], v1_file: Path, unpacked: Path
) -> None:
    path = make(v1_file.with_name("vgg.tar.gz"), v1_file.read_bytes())
    assert refusal(path, unpacked).endswith(": unpack it (tar xf), then give the folder")


@pytest.mark.parametrize("packed_part", [".index", ".data-00000-of-00001"])
def test_a_file_that_an_archive_lacks_is_to_be_packed_too(
    packed_part: str, tmp_path: Path, unpacked: Path
) -> None:
    prefix = tensorflow_v2(tmp_path / "model.ckpt-5", TENSORS)
    said = refusal(packed(tmp_path / "model.tar.gz", Path(f"{prefix}{packed_part}")), unpacked)
    assert said.endswith("pack it too, or give the folder that was packed")


OPEN_WITH_SMALL_FILES = """
import resource, sys
from slimserve.export.checkpoint.contents import open_checkpoint
from slimserve.export.errors import ExportError
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    open_checkpoint(sys.argv[1])
except ExportError as error:
    print(error)
"""


def test_a_disk_that_cannot_hold_the_checkpoint_is_told(v1_file: Path, unpacked: Path) -> None:
    path = packed(v1_file.with_name("vgg.tar.gz"), v1_file)
    command = [sys.executable, "-c", OPEN_WITH_SMALL_FILES, str(path)]
    environment = os.environ | {"TMPDIR": str(unpacked)}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.startswith(f"vgg_16.ckpt cannot be unpacked to {unpacked}")
    assert run.stdout.endswith(": File too large\n")
    assert not list(unpacked.iterdir())
