"""Folders of one process: they go when it ends, and when it was killed, with the next process that makes one.

Each is locked as long as its process lives; the system frees the lock however the process ends, so that a folder
whose lock is free has lost its owner. Windows has no such locks: what a killed process leaves stays there.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform != "win32":
    import fcntl


@contextmanager
def temporary_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Make a folder of that prefix in `parent`, after removing those that killed processes of this user left there.

    Raises:
        OSError: `parent` can't be written.
    """
    if sys.platform == "win32":
        with tempfile.TemporaryDirectory(prefix=prefix, dir=parent, ignore_cleanup_errors=True) as name:
            yield Path(name)
        return
    sweep(parent, prefix)
    folder, lock = _make(parent, prefix)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # nothing, where it was renamed meanwhile
        os.close(lock)


def sweep(parent: Path, prefix: str) -> None:
    """Remove the folders of that prefix, named as `temporary_folder` names them, whose processes are gone."""
    if sys.platform == "win32":
        return
    ours = re.compile(re.escape(prefix) + "[a-z0-9_]{8}")
    for folder in parent.iterdir():
        if not ours.fullmatch(folder.name):
            continue
        try:
            lock = _open(folder)
        except OSError:  # no folder, another user's, or just gone
            continue
        try:
            if os.fstat(lock).st_uid == os.geteuid():
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # in use, or on a file system without locks
            continue
        finally:
            os.close(lock)


def _make(parent: Path, prefix: str) -> tuple[Path, int]:
    """Return a new folder and the descriptor that holds its lock."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        try:
            lock = _open(folder)
        except FileNotFoundError:
            continue  # swept by another process before it could be locked
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(lock), folder.stat()):
                return folder, lock
        except (BlockingIOError, FileNotFoundError):
            pass  # being swept
        except OSError:
            return folder, lock  # NFS locks no folders; nor will anyone find its lock free and sweep it
        os.close(lock)


def _open(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
