"""Read ranges of a file straight to where they belong, with the CRC-32C of everything read."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import google_crc32c
import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Sink = Callable[[Bytes], None]  # takes bytes piece after piece, each before it returns

# Said of a file that is missing; of one in an archive, something else is said instead.
COPY_IT = "copy it too"
CHUNK = 1 << 20  # bytes: still in the processor's cache when its checksum is taken


class FormatError(Exception):
    """The bytes contradict the format or their checksum."""

    tensor: str | None = None  # that it happened to, if any


class UnsupportedError(FormatError):
    """The bytes are sound, but of a kind that this project does not read."""


class IncompleteError(FormatError):
    """One of the files is not there; the message says what to do."""


class ReadError(FormatError):
    """The system does not give the bytes."""


@contextmanager
def naming(tensor: str) -> Iterator[None]:
    """Note in a FormatError which tensor it happened to."""
    try:
        yield
    except FormatError as error:
        error.tensor = error.tensor or tensor
        raise


@contextmanager
def _reading() -> Iterator[None]:
    """Tell failures to read from those of a sink."""
    try:
        yield
    except OSError as error:
        raise ReadError(error.strerror or str(error)) from error


def masked_crc(crc: int) -> int:
    """Return the form in which tables and bundles store a CRC-32C (LevelDB, util/crc32c.h)."""
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def as_bytes(array: npt.NDArray[Any]) -> Bytes:
    """Return the bytes of a contiguous array as a flat uint8 view."""
    return array.reshape(-1).view(np.uint8)


def pieces(data: Bytes) -> Iterator[Bytes]:
    """Yield views of bytes, one CHUNK after the other."""
    return (data[start : start + CHUNK] for start in range(0, data.size, CHUNK))


class Target(NamedTuple):
    """Where a range of a file goes."""

    offset: int  # first byte of the range
    size: int  # of the range
    buffers: Iterator[Bytes]  # as many bytes in all; each is filled before the next one is asked for

    @classmethod
    def array(cls, offset: int, array: Bytes) -> Target:
        """Fill `array`."""
        return cls(offset, array.size, pieces(array))

    @classmethod
    def sink(cls, offset: int, size: int, sink: Sink) -> Target:
        """Pass the bytes on; no more than a piece is in memory."""
        return cls(offset, size, _scratch(size, sink))


def _scratch(size: int, sink: Sink) -> Iterator[Bytes]:
    scratch = np.empty(min(CHUNK, size), np.uint8)
    for start in range(0, size, CHUNK):
        piece = scratch[: min(CHUNK, size - start)]
        yield piece
        sink(piece)


class CheckedFile:
    """A regular file, read by ranges; not mapped, so that one cut short meanwhile is an error, not a signal.

    Raises:
        FormatError: it is a pipe, a device or a folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # At once: a pipe would have us wait for its writer. On Windows a path names none.
        at_once = getattr(os, "O_NONBLOCK", 0)
        self._stream = io.FileIO(path, opener=lambda name, flags: os.open(name, flags | at_once))
        status = os.fstat(self._stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            self._stream.close()
            raise FormatError(f"{path.name} is no regular file")
        self.size = status.st_size

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def at(self, offset: int, size: int) -> bytes:
        """Return `size` bytes from `offset`.

        Raises:
            FormatError: they do not lie within the file, or cannot be read.
        """
        if offset < 0 or size < 0 or offset + size > self.size:
            raise FormatError("it points outside the file")
        with _reading():
            self._stream.seek(offset)
            data = self._stream.read(size)
        if len(data) != size:
            raise FormatError("the file became shorter while it was read")
        return data

    def fill(
        self,
        start: int,
        end: int,
        targets: Iterable[Target],
        progress: Callable[[int], None] | None = None,
    ) -> int:
        """Read [start, end) once and return its CRC-32C.

        Args:
            start: first byte of the range.
            end: first byte after it.
            targets: of parts of the range, in any order.
            progress: called with the number of bytes just read into targets.

        Raises:
            FormatError: the range or a target lies outside, or targets overlap, or it cannot be read.
        """
        if not 0 <= start <= end <= self.size:
            raise FormatError("it points outside the file")
        with _reading():
            self._stream.seek(start)
        position, crc = start, 0
        for target in sorted(targets, key=lambda target: target.offset):
            if target.offset < position or target.offset + target.size > end:
                raise FormatError("its parts overlap")
            crc = self._skip(target.offset - position, crc)
            crc = self._read(target.buffers, crc, progress)
            position = target.offset + target.size
        return self._skip(end - position, crc)

    def _skip(self, size: int, crc: int) -> int:
        return self._read(_scratch(size, lambda piece: None), crc, None)

    def _read(self, buffers: Iterator[Bytes], crc: int, progress: Callable[[int], None] | None) -> int:
        for piece in buffers:
            with _reading():
                size = self._stream.readinto(piece.data)
            if size != piece.size:
                raise FormatError("the file became shorter while it was read")
            crc = google_crc32c.extend(crc, piece)
            if progress:
                progress(piece.size)
        return crc
