"""Exports that can be disturbed at any point, each a process forked off this one, which has imported what they need.

From its arguments on such a process is `python -m export`. TensorFlow may be forked as long as it has run nothing.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import shutil
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from slimserve.export.cli import main as export_command
from slimserve.export.cli.command_line import import_tensorflow

DRAFT = "/.exporting-"  # begins the name of the folder that a version is written in
KEPT = 3  # versions; older ones are pruned, as an operator would


class FaultError(Exception):
    """What must never happen."""


@dataclass(frozen=True)
class Point:
    """A point of an export: before its n-th operation on the model's folder, or some seconds after its start."""

    operation: int | None = None
    seconds: float | None = None


class Log:
    """What exports write to their output, in memory: it is not to share a full disk with them."""

    def __init__(self) -> None:
        self.descriptor = os.memfd_create("log")

    def clear(self) -> None:
        os.ftruncate(self.descriptor, 0)
        os.lseek(self.descriptor, 0, os.SEEK_SET)

    def text(self) -> str:
        return os.pread(self.descriptor, 1 << 20, 0).decode(errors="replace")


def fork_export(arguments: list[str], log: Log, prepare: Callable[[], object] = lambda: None) -> int:
    """Start `python -m export` with these arguments in a fork of this process; return its id.

    `import_what_exports_need` comes first; `prepare` is called in the fork.
    """
    log.clear()
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        os.dup2(log.descriptor, 1)
        os.dup2(log.descriptor, 2)
        prepare()
        code = export_command(arguments)
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def import_what_exports_need() -> None:
    """Import in this process what would take each export seconds; before TensorFlow, which keeps quiet then."""
    import_tensorflow()


class Exports:
    """Exports of one checkpoint into one folder, in which an undisturbed one made the highest version.

    Attributes:
        out: the model's folder.
        operations: of an undisturbed export on the folder.
        first_write: the operation that opens the first file of its draft.
        seconds: that it takes.
        files: digest of every file of its version folder.
        size: bytes of these files.
    """

    def __init__(self, arguments: list[str], out: Path) -> None:
        import_what_exports_need()
        out.parent.mkdir(parents=True, exist_ok=True)
        self.out = out
        self._log = Log()
        self._arguments = [*arguments, "--out", str(out), "--json"]
        self._counter = Counter()
        start = time.monotonic()
        self.succeeds(self.start())
        self.seconds = time.monotonic() - start
        self.operations, self.first_write = self._counter.operations, self._counter.first_write
        version = out / str(max(self.versions()))
        self.files = digests(version)
        self.size = sum(file.stat().st_size for file in version.rglob("*") if file.is_file())

    def start(self, point: Point | None = None, act: Callable[[], None] = lambda: None) -> int:
        """Start an export, which calls `act` at the point's operation; return its process id."""
        operation = point.operation if point else None
        return fork_export(
            self._arguments, self._log, lambda: _watch(self.out, self._counter, operation, act)
        )

    def ended(self, pid: int) -> int:
        """Wait for an export; return its exit code, or the negative number of the signal that killed it."""
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def succeeds(self, pid: int) -> None:
        """Wait for an export, which must succeed."""
        if code := self.ended(pid):
            raise FaultError(f"an export ended with {code}: {self.said()}")

    def said(self) -> str:
        """What the last export wrote to its output."""
        return self._log.text()[-2000:]

    def versions(self) -> set[int]:
        """Versions that a server would see."""
        return {int(entry.name) for entry in self.out.iterdir() if entry.name.isdecimal()}

    def others(self) -> list[str]:
        """What else lies in the folder."""
        return [entry.name for entry in self.out.iterdir() if not entry.name.isdecimal()]

    def check(self, before: set[int]) -> set[int]:
        """Return the versions that came on top of `before`, after checking that they are complete."""
        after = self.versions()
        if not before <= after:
            raise FaultError(f"versions {before - after} are gone")
        for version in after - before:
            if digests(self.out / str(version)) != self.files:
                raise FaultError(f"version {version} is not complete")
        return after - before

    def restart(self) -> None:
        """Export once more: it must succeed, and leave nothing but versions."""
        before = self.versions()
        self.succeeds(self.start())
        if len(self.check(before)) != 1:
            raise FaultError("the restarted export did not publish one version")
        if others := self.others():
            raise FaultError(f"the restarted export left {others}")
        for version in sorted(self.versions())[:-KEPT]:
            shutil.rmtree(self.out / str(version))


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file, by its path in the folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


class Counter:
    """Of a process's operations on a folder, in memory that it shares with the process it was forked off."""

    def __init__(self) -> None:
        self._shared = memoryview(mmap.mmap(-1, 16)).cast("Q")

    @property
    def operations(self) -> int:
        """So far."""
        return self._shared[0]

    @property
    def first_write(self) -> int:
        """The number of the operation that opened the first file of a draft, or 0."""
        return self._shared[1]

    def restart(self) -> None:
        self._shared[0] = self._shared[1] = 0

    def add(self, event: str, argument: object) -> int:
        """Count an operation on that path; return its number."""
        self._shared[0] += 1
        if event == "open" and not self.first_write and DRAFT in str(argument):
            self._shared[1] = self.operations
        return self.operations


def _watch(folder: Path, counter: Counter, number: int | None, act: Callable[[], None]) -> None:
    """Count this process's operations on `folder`, and call `act` before that of this number."""
    watching = True
    concerns = _concerns(folder)
    counter.restart()

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal watching
        path = next(filter(concerns, arguments), None) if watching else None
        if path is not None and counter.add(event, path) == number:
            watching = False  # an operation of the fault itself is none of the export
            act()

    sys.addaudithook(hook)


def _concerns(folder: Path) -> Callable[[object], bool]:
    def concerns(argument: object) -> bool:
        return isinstance(argument, (str, Path)) and f"{argument}/".startswith(f"{folder}/")

    return concerns
