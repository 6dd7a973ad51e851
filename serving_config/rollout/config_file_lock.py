"""One roll-out command at a time for each models.config."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from ..errors import ServingConfigError


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other commands off the file while the context is open; says so on stderr when it has to wait.

    What is locked is the file's folder: a lock on the file would go when the file is replaced. Where there are no
    such locks (Windows, and folders on NFS) a command notices before it replaces the file that it was changed.

    Raises:
        ServingConfigError: the folder does not exist, or the file in it could not be replaced.
    """
    folder = path.resolve().parent
    if not os.access(folder, os.W_OK | os.X_OK):
        reason = "is not writable" if folder.is_dir() else "does not exist"
        raise ServingConfigError(
            f"{path}: the labels are written to this file, and its folder {reason}: nothing has been changed"
        )
    try:
        import fcntl
    except ImportError:
        print(
            f"note: {sys.platform} cannot lock a folder: run one roll-out command at a time", file=sys.stderr
        )
        yield
        return
    lock = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another command that is changing {path}", file=sys.stderr, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError:
            pass  # NFS
        yield
    finally:
        os.close(lock)
