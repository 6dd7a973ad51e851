"""Unpack the checkpoint out of a .tar or .tar.gz without trusting the archive.

Nothing is unpacked to a place that the archive chooses, and what it claims is compared with its own size and
with the free space before anything is written. An archive with members that a checkpoint never has (links,
devices, sparse files, names that lead outside) is refused as a whole.
"""

from __future__ import annotations

import errno
import gzip
import io
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, cast

from ...errors import ExportError
from ...temporary_folder import sweep, temporary_folder
from ..formats.v2 import DATA_FILE
from .foreign import HEAD, described
from .state_file import STATE_FILE
from .tables import TABLE_START, starts_like_table

CHUNK = 1 << 20
PREFIX = ".slimserve-unpacking-"  # of the temporary folder: like nothing that a user would call his own
MOST_MEMBERS = 1000
MOST_HEADER_BYTES = 16 << 20  # member headers, which tarfile holds in memory
LARGEST_RATIO = 20  # unpacked to packed; trained weights reach about 1.1, pruned ones some 10, zeros 1000
SMALLEST_LIMIT = 64 << 20  # bytes that any archive may unpack to
MARGIN = 64 << 20  # bytes of disk left free

_ARCHIVE = re.compile(r"\.(tar|tgz|zip|gz|bz2|xz|7z)$")

Progress = Callable[[int, int], None]


def is_archive(path: Path) -> bool:
    """Tell whether a file is a gzip or tar archive, by its content."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        head = stream.read(512)
    return head[:2] == b"\x1f\x8b" or head[257:262] == b"ustar"


def unpack(path: Path, cleanup: ExitStack, progress: Progress | None = None) -> Path:
    """Unpack the checkpoint in an archive into a temporary folder, which `cleanup` removes.

    Returns:
        The folder.

    Raises:
        ExportError: the archive is damaged, dangerous or holds no checkpoint, or the disk is full.
    """
    status = path.stat()
    size = status.st_size
    # Without the holes of a sparse file; Windows does not tell.
    held = min(size, 512 * getattr(status, "st_blocks", size))
    limit = max(SMALLEST_LIMIT, LARGEST_RATIO * held)
    folder: Path | None = None
    unpacked, archives = 0, []
    with _explained(path), path.open("rb") as packed:
        _refuse_other_than_tar(path, packed)
        stream = _Headers(_decompressed(packed))
        with tarfile.open(fileobj=cast(IO[bytes], stream), mode="r:") as tar:
            for number, member in enumerate(tar, 1):
                unpacked += member.size
                _refuse_dangerous(path, member, number)
                if unpacked > limit:
                    raise ExportError(f"{path} is refused: it claims to unpack to more than {limit:,} bytes")
                data = tar.extractfile(member)
                with stream.unlimited():
                    if data is None or not _is_part_of_checkpoint(member, data):
                        archives += [member.name] if _ARCHIVE.search(member.name) else []
                        continue
                    folder = folder or _temporary_folder(path, member.size, cleanup)
                    for _ in _written(data, member, folder):
                        if progress:
                            progress(packed.tell(), size)
    if folder is None:
        within = f" but {archives[0]}: unpack it first (tar xf), then give that" if archives else ""
        raise ExportError(f"{path} is an archive that holds no checkpoint{within}")
    return folder


class _Headers(io.RawIOBase):
    """The unpacked archive, of which tarfile may hold only so much in memory: headers are read at once."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._left: float = MOST_HEADER_BYTES

    @contextmanager
    def unlimited(self) -> Iterator[None]:
        """Read a member's data, which is not held."""
        left, self._left = self._left, float("inf")
        try:
            yield
        finally:
            self._left = left

    def read(self, size: int = -1) -> bytes:
        self._left -= size
        if size < 0 or self._left < 0:
            raise tarfile.ReadError("its headers are absurdly large")
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()


def _decompressed(packed: IO[bytes]) -> IO[bytes]:
    magic = packed.read(2)
    packed.seek(0)
    return cast(IO[bytes], gzip.GzipFile(fileobj=packed, mode="rb")) if magic == b"\x1f\x8b" else packed


def _refuse_other_than_tar(path: Path, packed: IO[bytes]) -> None:
    """Refuse what was packed by gzip alone."""
    head = _decompressed(packed).read(HEAD)
    packed.seek(0)
    if head[257:262] == b"ustar" or not head[:512].strip(b"\0"):
        return
    try:
        tarfile.TarInfo.frombuf(head[:512], "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        name = path.name.removesuffix(".gz")
        held = "holds a checkpoint; unpack it (gunzip) and give the checkpoint"
        what = held if starts_like_table(head) else described(head, name)
        raise ExportError(f"{path} is compressed by gzip but no tar archive, and {what}") from error


def _refuse_dangerous(path: Path, member: tarfile.TarInfo, number: int) -> None:
    name = PurePosixPath(member.name.replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts or ":" in member.name:
        raise ExportError(f"{path} is refused: its member {member.name} points outside the archive")
    if member.issparse():
        raise ExportError(f"{path} is refused: its member {member.name} is a sparse file")
    if not (member.isfile() or member.isdir()):
        unpack_it = ": unpack it (tar xf), then give the folder" if member.issym() or member.islnk() else ""
        raise ExportError(f"{path} is refused: its member {member.name} is a link or a device{unpack_it}")
    if number > MOST_MEMBERS:
        raise ExportError(f"{path} is refused: it has more than {MOST_MEMBERS:,} members")
    if member.size < 0:
        raise ExportError(f"{path} is refused: its member {member.name} has a negative size")


def _is_part_of_checkpoint(member: tarfile.TarInfo, data: IO[bytes]) -> bool:
    """Tell by the content, except for bare data and for what names the latest, which only their names tell."""
    name = PurePosixPath(member.name).name
    if name == STATE_FILE or DATA_FILE.fullmatch(name):
        return True
    return starts_like_table(cast(io.BufferedReader, data).peek(TABLE_START))


def _temporary_folder(path: Path, size: int, cleanup: ExitStack) -> Path:
    for parent in (Path(tempfile.gettempdir()), path.resolve().parent):
        sweep(parent, PREFIX)  # first: what lies there takes up the space
        if os.access(parent, os.W_OK) and shutil.disk_usage(parent).free >= size + MARGIN:
            return cleanup.enter_context(temporary_folder(parent, PREFIX))
    raise ExportError(
        f"{path} needs {size:,} bytes to unpack, more than is free in {tempfile.gettempdir()}: "
        "unpack it yourself, or set TMPDIR to a folder with space"
    )


def _written(data: IO[bytes], member: tarfile.TarInfo, folder: Path) -> Iterator[None]:
    """Write a member into the folder under its last name, a chunk at a step."""
    target = folder / PurePosixPath(member.name).name
    if target.exists():
        raise ExportError(
            f"{member.name} is in the archive twice: unpack it and name the checkpoint you mean"
        )
    try:
        if shutil.disk_usage(folder).free < member.size + MARGIN:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with target.open("xb") as stream:
            while chunk := data.read(CHUNK):
                stream.write(chunk)
                yield
    except OSError as error:
        if isinstance(error, gzip.BadGzipFile):
            raise
        raise ExportError(
            f"{member.name} cannot be unpacked to {folder}: {error.strerror or error}"
        ) from error


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn whatever the libraries trip over into one line; they name no closed set of errors."""
    try:
        yield
    except ExportError:
        raise
    except Exception as error:
        raise ExportError(
            f"{path} is a damaged archive: {error or type(error).__name__}; download or copy it again"
        ) from error
