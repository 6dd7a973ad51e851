"""Read ranges of a file straight into arrays, with the CRC-32C of everything read."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]

CHUNK = 1 << 20  # bytes: still in the processor's cache when its checksum is taken


class FormatError(Exception):
    """The bytes contradict the format or their checksum.

    Attributes:
        tensor: the tensor that it happened to, if any.
    """

    def __init__(self, message: str, tensor: str | None = None) -> None:
        super().__init__(message)
        self.tensor = tensor


class UnsupportedError(FormatError):
    """The bytes are sound, but of a kind that this project does not read."""


@contextmanager
def naming(tensor: str) -> Iterator[None]:
    """Note in a FormatError which tensor it happened to."""
    try:
        yield
    except FormatError as error:
        error.tensor = error.tensor or tensor
        raise


def masked_crc(crc: int) -> int:
    """Return the form in which tables and bundles store a CRC-32C (LevelDB, util/crc32c.h)."""
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def as_bytes(array: npt.NDArray[Any]) -> Bytes:
    """Return the bytes of a contiguous array as a flat uint8 view."""
    return array.reshape(-1).view(np.uint8)


class CheckedFile:
    """A regular file, read by ranges; not mapped, so that one cut short meanwhile is an error, not a signal.

    Raises:
        FormatError: it is a pipe, a device or a folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # At once: a pipe would have us wait for its writer.
        self._stream = io.FileIO(path, opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))
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
            FormatError: they do not lie within the file.
        """
        if offset < 0 or size < 0 or offset + size > self.size:
            raise FormatError("it points outside the file")
        self._stream.seek(offset)
        data = self._stream.read(size)
        if len(data) != size:
            raise FormatError("the file became shorter while it was read")
        return data

    def fill(
        self,
        start: int,
        end: int,
        targets: Iterable[tuple[int, Bytes]],
        progress: Callable[[int], None] | None = None,
    ) -> int:
        """Read [start, end) once and return its CRC-32C.

        Args:
            start: first byte of the range.
            end: first byte after it.
            targets: (offset, array) pairs: the bytes from that offset on go into that array.
            progress: called with the number of bytes just read into targets.

        Raises:
            FormatError: the range or a target lies outside, or targets overlap.
        """
        if not 0 <= start <= end <= self.size:
            raise FormatError("it points outside the file")
        scratch = np.empty(min(CHUNK, end - start), np.uint8)
        self._stream.seek(start)
        position, crc = start, 0
        for offset, into in sorted(targets, key=lambda target: target[0]):
            if offset < position or offset + into.size > end:
                raise FormatError("its parts overlap")
            crc = self._skip(offset - position, scratch, crc)
            crc = self._read(into, crc, progress)
            position = offset + into.size
        return self._skip(end - position, scratch, crc)

    def _skip(self, size: int, scratch: Bytes, crc: int) -> int:
        while size:
            piece = scratch[: min(size, scratch.size)]
            crc = self._read(piece, crc, None)
            size -= piece.size
        return crc

    def _read(self, into: Bytes, crc: int, progress: Callable[[int], None] | None) -> int:
        for start in range(0, into.size, CHUNK):
            piece = into[start : start + CHUNK]
            if self._stream.readinto(piece.data) != piece.size:
                raise FormatError("the file became shorter while it was read")
            crc = google_crc32c.extend(crc, piece)
            if progress:
                progress(piece.size)
        return crc
