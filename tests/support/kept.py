"""What takes long to make and many tests share: checkpoints and exports, kept between runs in .cache/tests.

An entry is a folder with a key of what it depends on. It is made by whoever asks first, of all workers and runs. One
whose key has changed is removed as soon as no run uses it; where all of them take more than `LARGEST`, so are those
used longest ago. An entry in which a test has changed something is made anew.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from tests.support.sources import ROOT

KEPT = ROOT / ".cache" / "tests"
LARGEST = 6_000_000_000  # bytes


class Keeper:
    """The entries below a folder; those that it has given are in use until it is closed or its process ends."""

    def __init__(self, folder: Path = KEPT, largest: int = LARGEST) -> None:
        self._folder, self._largest = folder, largest
        self._in_use: dict[Path, IO[str]] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def get(self, name: str, key: str, make: Callable[[Path], None]) -> Path:
        """Return the entry's folder; `make` fills it where there is none.

        Args:
            name: of the entry, which has one key at a time.
            key: of what it depends on.
            make: takes an empty folder, which is renamed when it returns.
        """
        entry = self._folder / f"{name}-{key}"
        if entry in self._in_use:
            return entry
        with (self._folder / f"{name}.lock").open("w") as making:
            fcntl.flock(making, fcntl.LOCK_EX)
            if not self._is_whole(entry):
                draft = self._folder / f"{name}.draft"
                for left in (draft, entry):
                    shutil.rmtree(left, ignore_errors=True)
                draft.mkdir()
                make(draft)
                draft.rename(entry)
                _beside(entry, "files").write_text(json.dumps(_files(entry)))
            self._use(entry)
            for other in self._folder.glob(f"{name}-{'[0-9a-f]' * len(key)}"):
                self._remove(other)
        self._make_room()
        return entry

    def close(self) -> None:
        for stream in self._in_use.values():
            stream.close()
        self._in_use.clear()

    def _is_whole(self, entry: Path) -> bool:
        try:
            return bool(json.loads(_beside(entry, "files").read_text()) == _files(entry))
        except (FileNotFoundError, ValueError):
            return False

    def _use(self, entry: Path) -> None:
        stream = _beside(entry, "use").open("w")
        fcntl.flock(stream, fcntl.LOCK_SH)
        self._in_use[entry] = stream
        os.utime(_beside(entry, "use"))

    def _remove(self, entry: Path) -> None:
        """Remove it unless someone uses it. Whoever begins to use one of this name waits for the name's lock."""
        if entry in self._in_use:
            return
        with _beside(entry, "use").open("a") as use:
            try:
                fcntl.flock(use, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            for kind in ("files", "use"):
                _beside(entry, kind).unlink(missing_ok=True)
            shutil.rmtree(entry)

    def _make_room(self) -> None:
        entries = sorted(self._folder.glob("*.files"), key=lambda file: _last_use(file.with_suffix("")))
        sizes = {file.with_suffix(""): _size(file) for file in entries}
        for entry, size in sizes.items():
            if sum(sizes.values()) <= self._largest:
                break
            lock = self._folder / f"{entry.name.rpartition('-')[0]}.lock"
            with lock.open("w") as making, suppress(BlockingIOError):
                fcntl.flock(making, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._remove(entry)
            if not entry.exists():
                sizes[entry] -= size


def _beside(entry: Path, kind: str) -> Path:
    return entry.with_name(f"{entry.name}.{kind}")


def _files(entry: Path) -> dict[str, list[int]]:
    """Size and time of change of every file; of a link, its own."""
    found = {}
    for path in sorted(entry.rglob("*")):
        status = path.lstat()
        whole = not stat.S_ISDIR(status.st_mode)
        found[str(path.relative_to(entry))] = [status.st_size, status.st_mtime_ns] if whole else [0, 0]
    return found


def _size(files: Path) -> int:
    with suppress(FileNotFoundError, ValueError):
        return sum(size for size, *_ in json.loads(files.read_text()).values())
    return 0


def _last_use(entry: Path) -> float:
    with suppress(FileNotFoundError):
        return _beside(entry, "use").stat().st_mtime
    return 0.0
