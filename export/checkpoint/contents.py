"""Read slim checkpoints: names, shapes and dtypes of everything first, then one tensor at a time.

TensorFlow's own reader is not used: it takes 2.5 s and three copies in memory for a V1 checkpoint of 553 MB,
where this one takes half a second and one copy, and a shape that no memory can hold ends the process there.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy.typing as npt

from ..errors import ExportError
from .files.archive import is_archive, unpack
from .files.foreign import refuse_address
from .files.locate import Format, Located, locate
from .formats.checked_file import (
    COPY_IT,
    FormatError,
    IncompleteError,
    ReadError,
    Sink,
    UnsupportedError,
    as_bytes,
    pieces,
)
from .formats.tensor_spec import TensorSpec
from .formats.v1 import V1Files
from .formats.v2 import V2Bundle

# Bytes. The hash is taken in a thread of its own, which may wait 5 ms for the interpreter after each read.
HASHED_AT_ONCE = 1 << 24


class Checkpoint(AbstractContextManager["Checkpoint"]):
    """An open checkpoint; a context manager, which removes what was unpacked from an archive.

    Attributes:
        path: what the user gave.
        file: the V1 file or V2 prefix that is read; in a temporary folder when `path` is an archive.
        read_from: the same for people: within the archive that it lies in.
        notes: what was chosen or passed over to find it, a sentence each.
        format: "V1" or "V2".
        tensors: shape and dtype of everything in it, by name.
        size: bytes of its files.
        located, reader, cleanup: what it is made of.
    """

    def __init__(self, path: Path, located: Located, reader: V1Files | V2Bundle, cleanup: ExitStack) -> None:
        self.path = path
        self.format: Format = located.format
        self.file = located.file
        self.read_from = located.shown or located.file
        self.notes = located.notes
        self.tensors: Mapping[str, TensorSpec] = reader.tensors
        self.size = sum(file.stat().st_size for file in reader.files)
        self.located, self.reader, self.cleanup = located, reader, cleanup

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files and remove what was unpacked."""
        self.cleanup.close()

    def sha256(self) -> str:
        """Return the hex digest of the V1 file, or of the V2 index followed by its data files in order."""
        digest = hashlib.sha256()
        with _explained(self.path):
            for file in self.reader.files:
                with file.open("rb") as stream:
                    while chunk := stream.read(HASHED_AT_ONCE):
                        digest.update(chunk)
        return digest.hexdigest()

    def step(self) -> int | None:
        """Return the training step that it holds, or that its name ends with; None without one."""
        spec = self.tensors.get("global_step")
        if spec and not spec.shape and spec.dtype.kind == "i":
            return int(self.read("global_step"))
        number = re.search(r"-(\d{1,18})$", self.file.name)
        return int(number[1]) if number else None

    def read(self, name: str) -> npt.NDArray[Any]:
        """Read one tensor.

        Raises:
            ExportError: there is none of that name, or it is damaged.
        """
        return next(self.read_all([name]))[1]

    def read_all(
        self,
        names: Iterable[str],
        progress: Callable[[int], None] | None = None,
        sinks: Mapping[str, Sink] = MappingProxyType({}),
    ) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        """Yield the named tensors, each read once, in the order of the file, one at a time.

        In V1 files the tensors that share a block, which are a large one and small ones, are read together.

        Args:
            names: tensors of this checkpoint.
            progress: called often, with the bytes read so far of the tensors asked for.
            sinks: tensors of floats that are not yielded, by name: their bytes are passed on piece by piece as they are
                read, before their checksum is known.

        Raises:
            ExportError: there is none of that name, or it is damaged.
        """
        wanted = set(names)
        for name in wanted - self.tensors.keys():
            raise ExportError(f"{self.path} has no tensor {name}")
        done = 0

        def step(size: int) -> None:
            nonlocal done
            done += size
            if progress:
                progress(done)

        with _damage_explained(self.path):
            for name, array in self.reader.read(wanted, step, sinks):
                if name not in sinks:
                    yield name, array
                else:
                    for piece in pieces(as_bytes(array)):
                        sinks[name](piece)
                del array  # before the next one is read


def open_checkpoint(path: str | Path, progress: Callable[[int, int], None] | None = None) -> Checkpoint:
    """Open a checkpoint and read what is in it, but none of its data.

    Args:
        path: a V1 file, a .tar or .tar.gz holding a checkpoint, a V2 prefix, a V2 .index or .data file, or a
            folder with a `checkpoint` file or with one checkpoint.
        progress: called while an archive is unpacked, with the bytes done and the bytes in all.

    Raises:
        ExportError: there is no checkpoint, or it is damaged.
    """
    if not str(path):
        raise ExportError("no checkpoint is named: give a file, a prefix or a folder")
    refuse_address(str(path))
    path = Path(path)
    if not path.exists():
        path = Path(os.path.expanduser(path))  # the shell leaves a ~ behind --ckpt= as it is
    with _said_of_archives(path), _explained(path), ExitStack() as cleanup:
        located = _unpacked(path, cleanup, progress) if is_archive(path) else locate(path)
        reader = V1Files(located.shards) if located.format == "V1" else V2Bundle(located.file)
        cleanup.callback(reader.close)
        return Checkpoint(path, located, reader, cleanup.pop_all())


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        with _damage_explained(path):
            yield
    except OSError as error:
        raise ExportError(f"{path} cannot be read: {error.strerror or error}") from error


@contextmanager
def _said_of_archives(path: Path) -> Iterator[None]:
    """Say of a file that is missing in an archive what can be done: nothing can be copied beside a member."""
    try:
        yield
    except ExportError as error:
        if COPY_IT not in str(error) or not is_archive(path):
            raise
        raise ExportError(
            str(error).replace(COPY_IT, "pack it too, or give the folder that was packed")
        ) from error


@contextmanager
def _damage_explained(path: Path) -> Iterator[None]:
    try:
        yield
    except FormatError as error:
        where = f"{error.tensor} in {path}" if error.tensor else f"{path}"
        if isinstance(error, UnsupportedError | ReadError):
            raise ExportError(f"{where} cannot be read: {error}") from error
        if isinstance(error, IncompleteError):
            raise ExportError(f"{path} is incomplete: {error}") from error
        raise ExportError(f"{where} is damaged: {error}; download or copy it again") from error


def _unpacked(path: Path, cleanup: ExitStack, progress: Callable[[int, int], None] | None) -> Located:
    folder = unpack(path, cleanup, progress)
    try:
        located = locate(folder, unpacked=True)
        return located._replace(shown=path / located.file.name)
    except ExportError as error:
        raise ExportError(str(error).replace(str(folder), str(path))) from error
