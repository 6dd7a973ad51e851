"""What an export keeps on disk while it runs goes with it, or, when it was killed, with the next one."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from slimserve.export.checkpoint.contents import open_checkpoint
from slimserve.export.savedmodel.publication import draft_version
from slimserve.export.temporary_folder import sweep, temporary_folder

from tests.conftest import ROOT
from tests.support.archives import archive, member
from tests.support.checkpoints import small_tensors, tensorflow_v1

PREFIX = ".exporting-"
KILLED = """
import os, signal, sys
from pathlib import Path
from slimserve.export.temporary_folder import temporary_folder
with temporary_folder(Path(sys.argv[1]), ".exporting-") as folder:
    (folder / "variables").mkdir()
    (folder / "variables" / "data").write_bytes(bytes(1000))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def left_behind(parent: Path) -> Path:
    """What a killed process left in the folder."""
    command = [sys.executable, "-c", KILLED, str(parent)]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -signal.SIGKILL
    (folder,) = parent.iterdir()
    return folder


def test_the_folder_of_a_killed_process_goes_with_the_next(tmp_path: Path) -> None:
    killed = left_behind(tmp_path)
    with temporary_folder(tmp_path, PREFIX) as folder:
        assert not killed.exists()
        assert list(tmp_path.iterdir()) == [folder]
    assert not list(tmp_path.iterdir())


def test_a_folder_in_use_stays(tmp_path: Path) -> None:
    with temporary_folder(tmp_path, PREFIX) as first, temporary_folder(tmp_path, PREFIX) as second:
        sweep(tmp_path, PREFIX)
        assert first.is_dir()
        assert second.is_dir()


def test_a_folder_of_another_user_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = left_behind(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    sweep(tmp_path, PREFIX)
    assert folder.is_dir()


def test_what_a_link_points_to_stays(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / f"{PREFIX}link").symlink_to(tmp_path / "models")
    sweep(tmp_path, PREFIX)
    assert (tmp_path / "models").is_dir()


def test_a_file_system_without_locks_serves_and_is_not_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(descriptor: int, operation: int) -> None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))  # as NFS says of a folder

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with temporary_folder(tmp_path, PREFIX) as first, temporary_folder(tmp_path, PREFIX) as second:
        assert first.is_dir()
        assert second.is_dir()
    assert not list(tmp_path.iterdir())


def test_makers_never_sweep_each_others_folders(tmp_path: Path) -> None:
    def make_and_leave(number: int) -> bool:
        with temporary_folder(tmp_path, PREFIX) as folder:
            (folder / "file").touch()
            return (folder / "file").exists()

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(make_and_leave, range(400)))
    assert not list(tmp_path.iterdir())


def test_what_a_killed_export_unpacked_goes_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = tensorflow_v1(tmp_path / "vgg_16.ckpt", small_tensors())
    path = archive(tmp_path / "vgg.tar.gz", member(checkpoint.name, checkpoint.read_bytes()))
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(unpacked))
    child = os.fork()
    if child == 0:
        try:
            with open_checkpoint(path):
                os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert len(list(unpacked.rglob("vgg_16.ckpt"))) == 1
    with open_checkpoint(path):
        assert len(list(unpacked.rglob("vgg_16.ckpt"))) == 1
    assert not list(unpacked.iterdir())


def test_a_version_is_on_disk_before_it_appears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    sync, rename = os.fsync, os.rename

    def noting_sync(descriptor: int) -> None:
        done.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        sync(descriptor)

    def noting_rename(source: Path, target: Path) -> None:
        done.append("rename")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", noting_sync)
    monkeypatch.setattr(os, "rename", noting_rename)
    out = tmp_path / "models" / "vgg_16"
    with draft_version(out, None, 0) as draft:
        (draft.folder / "variables").mkdir()
        (draft.folder / "variables" / "data").write_bytes(bytes(1000))
        (draft.folder / "saved_model.pb").write_bytes(bytes(10))
        whole = {str(draft.folder), *map(str, draft.folder.rglob("*"))}
        done.clear()
        draft.publish()
    assert set(done[: done.index("rename")]) == whole
    assert done[done.index("rename") + 1 :] == [str(out)]
