"""Version folders that appear whole or not at all.

A version is written under a name that is no number, which TensorFlow Serving ignores, synced to disk, and renamed.
What a killed export leaves is removed by the next.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import ExportError
from ..temporary_folder import sweep, temporary_folder

LARGEST_VERSION = 2**63 - 1  # TensorFlow Serving reads int64, and passes over folders beyond
_PREFIX = ".exporting-"


class Draft:
    """A version folder being written, in `folder`."""

    def __init__(self, folder: Path, version: int | None) -> None:
        self.folder = folder
        self._version = version

    def publish(self, published: Callable[[Path], None] = lambda path: None) -> Path:
        """Sync everything and rename the folder to its version number; return the new path.

        `published` is called with it as soon as it is there.

        Raises:
            ExportError: the version asked for has appeared meanwhile, or there is no number above the highest.
        """
        for path in (*self.folder.rglob("*"), self.folder):
            _sync(path)
        parent = self.folder.parent
        while True:
            target = parent / str(_free_version(parent, self._version))
            try:
                os.rename(self.folder, target)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                continue  # another export took the number: take the next, or refuse the one asked for
            published(target)
            _sync(parent)
            return target


def require_place(out: Path, version: int | None) -> None:
    """Raise ExportError where no draft could be opened in `out`, before all that takes time; nothing is made."""
    try:
        there = next(path for path in (out, *out.absolute().parents) if path.exists())
        if not there.is_dir():
            raise ExportError(f"{there} is no folder, so {out} cannot be one: choose another with --out")
        if not os.access(there, os.W_OK | os.X_OK):
            raise ExportError(f"cannot write to {there}: choose another with --out")
        if out.is_dir():
            _free_version(out, version)
    except OSError as error:
        raise ExportError(f"cannot write to {out}: {error.strerror or error}") from error


@contextmanager
def draft_version(out: Path, version: int | None, size: int) -> Iterator[Draft]:
    """Open a draft in the model's folder `out`; unless it is published, nothing of it stays.

    Args:
        out: the model's folder, made if missing.
        version: a number of the user's choice, or None for the next one.
        size: bytes that will be written, to be refused before instead of midway.

    Raises:
        ExportError: `out` can't be written, has that version or no number above its highest, or lies on a disk without
            the room.
    """
    created = _make_folders(out)
    published = False
    try:
        _free_version(out, version)
        sweep(out, _PREFIX)  # first: what lies there takes up the space
        _require_space(out, size)
        with temporary_folder(out, _PREFIX) as folder:
            folder.chmod(0o755)
            yield Draft(folder, version)
        published = True
    except OSError as error:
        raise ExportError(f"cannot write to {out}: {error.strerror or error}") from error
    finally:
        if not published:
            _remove_empty(created)


def next_version(out: Path) -> int:
    """One more than the highest version in the folder, or 1.

    Raises:
        ExportError: the highest is the largest that there can be.
    """
    versions = _versions(out)
    highest = max(versions, default=0)
    if highest == LARGEST_VERSION:
        raise ExportError(
            f"{versions[highest]} is the largest version there can be: choose another with --version"
        )
    return highest + 1


def _versions(out: Path) -> dict[int, Path]:
    """The versions that TensorFlow Serving sees, for which 01 is version 1."""
    numbered = [entry for entry in out.iterdir() if entry.name.isascii() and entry.name.isdecimal()]
    return {number: entry for entry in numbered if (number := int(entry.name)) <= LARGEST_VERSION}


def _free_version(out: Path, asked: int | None) -> int:
    if asked is None:
        return next_version(out)
    if taken := _versions(out).get(asked):
        raise ExportError(f"{taken} is already there: leave out --version to write the next one")
    return asked


def _make_folders(out: Path) -> list[Path]:
    """Make `out` and its parents; return those that were made, innermost first."""
    missing: list[Path] = []
    try:
        missing += [path for path in (out, *out.parents) if not path.exists()]
        out.mkdir(parents=True, exist_ok=True)
        for made in missing:
            _sync(made.parent)
    except OSError as error:
        _remove_empty(missing)
        raise ExportError(
            f"cannot make the folder {out}: {error.strerror}: choose another with --out"
        ) from error
    return missing


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            return


def _require_space(out: Path, size: int) -> None:
    free = shutil.disk_usage(out).free
    if free < size:
        raise ExportError(
            f"{out} has {free / 1e6:.0f} MB free and the export needs {size / 1e6:.0f} MB: "
            "make room or choose another --out"
        )


def _sync(path: Path) -> None:
    if sys.platform == "win32":
        return  # it syncs no folders, and no files that are open for reading only
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
