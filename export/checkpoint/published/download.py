"""Fetch a published archive: what was cut off goes on where it ended, and what arrives is whole or not there."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import json
import re
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from email.message import Message
from pathlib import Path
from typing import Any

from ...errors import ExportError
from .table import ARCHIVE, Published

_CHUNK = 1 << 20
_TRIES = 5  # after as many that brought nothing, the user is asked
_TIMEOUT = 30.0  # seconds without a byte

Progress = Callable[[int, int], None]
"""Takes the bytes that are there, and how many there will be."""


class _CutOff(Exception):
    """The connection ended, or there was none."""


def about(archive: Path) -> Path:
    """The file beside a fetched archive that says where it came from."""
    return archive.with_name(f"{archive.name}.fetched.json")


def origin(path: Path) -> dict[str, Any] | None:
    """What `fetch` wrote of an archive; None for any other file, or where it has changed since."""
    try:
        known: dict[str, Any] = json.loads(about(path).read_text("utf-8"))
        return known if path.stat().st_size == known["bytes"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def fetch(
    published: Published,
    folder: Path,
    progress: Progress = lambda done, total: None,
    *,
    mirror: str = ARCHIVE,
    pause: float = 1.0,
) -> Path:
    """Fetch an archive into `folder` and return its path; one that is there already is not fetched again.

    What has arrived of it lies in `<archive>.part` until it is whole.

    Args:
        published: which.
        folder: is made where it is missing.
        progress: called often.
        mirror: address that takes the place of the public archive's.
        pause: seconds before the first repetition, doubled with each.

    Raises:
        ExportError: it is not there, can't be reached, or arrived damaged; what to do is told.
    """
    archive, address = folder / published.file, published.address(mirror)
    if archive.is_file():
        return archive
    if not address.startswith(("http://", "https://")):
        raise ExportError(
            f"the archive's address must start with https:// or http://, not {mirror}: --mirror"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(
            f"cannot make the folder {folder}: {error.strerror}: choose another with --into"
        ) from error
    part = archive.with_name(f"{archive.name}.part")
    failures = 0
    while True:
        before = _size(part)
        try:
            total = _go_on(address, part, progress)
            break
        except _CutOff as error:
            failures = 1 if _size(part) > before else failures + 1
            if failures >= _TRIES:
                raise ExportError(_cut_off(address, part, error)) from error
            time.sleep(pause * 2 ** (failures - 1))
    sha256 = _checked(part, address)
    record = {"name": published.name, "address": address, "bytes": total, "sha256": sha256}
    about(archive).write_text(json.dumps(record, indent=2) + "\n", "utf-8")
    part.replace(archive)
    return archive


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _go_on(address: str, part: Path, progress: Progress) -> int:
    """Fetch what is missing; return the size of the whole."""
    there = _size(part)
    request = urllib.request.Request(address, headers={"Range": f"bytes={there}-"} if there else {})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
            start, total = _range(answer.status, answer.headers, address)
            if start not in (0, there):
                raise ExportError(f"{address} goes on at byte {start:,} where {there:,} was asked for")
            with part.open("ab" if start else "wb") as stream:
                done = start
                while chunk := answer.read(_CHUNK):
                    stream.write(chunk)
                    done += len(chunk)
                    progress(done, total)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing is missing, or what lies there is of another file
            size = re.search(r"/(\d+)$", error.headers.get("Content-Range", ""))
            if size and int(size[1]) == there:
                return there
            part.unlink()
            raise _CutOff("what was there is of another file") from error
        if error.code >= 500 or error.code == 429:
            raise _CutOff(f"it answers {error.code} {error.reason}") from error
        raise ExportError(
            f"{address} answers {error.code} {error.reason}: {_elsewhere('it may have moved: look for it')}"
        ) from error
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise _CutOff(str(getattr(error, "reason", "")) or str(error) or type(error).__name__) from error
    if done < total:
        raise _CutOff("the connection ended")
    return total


def _range(status: int, headers: Message, address: str) -> tuple[int, int]:
    """Where the answer starts, and the size of the whole."""
    if status == 206:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", headers.get("Content-Range", ""))
        if found:
            return int(found[1]), int(found[2])
    elif length := headers.get("Content-Length"):
        return 0, int(length)
    raise ExportError(f"{address} does not say how many bytes it has: {_elsewhere('fetch it')}")


def _checked(part: Path, address: str) -> str:
    """The digest of a whole archive in hex; a damaged one is removed."""
    digest = hashlib.sha256()
    try:
        with part.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
        with gzip.open(part) as unpacked:  # reads the checksum at its end
            while unpacked.read(_CHUNK):
                pass
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        part.unlink()
        raise ExportError(
            f"what {address} sent is no whole .tar.gz ({error}): nothing is kept; try again, and where it stays so, "
            "a proxy may have answered in its place"
        ) from error
    return digest.hexdigest()


def _cut_off(address: str, part: Path, error: Exception) -> str:
    if size := _size(part):
        return (
            f"{address} was cut off after {size:,} bytes ({error}), {_TRIES} times in a row: the same command goes on "
            "from there"
        )
    return f"can't reach {address} ({error}): {_elsewhere('without a network here, fetch it')}"


def _elsewhere(what: str) -> str:
    return f"{what} elsewhere, and give the file to --ckpt"
