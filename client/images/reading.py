"""The bytes of an image that is given by a path, as an open file, or as a path inside an archive."""

from __future__ import annotations

import inspect
import os
from typing import Any

from ..errors import InvalidInput, MessageTooLarge
from ..limits import check_size
from . import kinds as _kinds

BYTES = (bytes, bytearray, memoryview)


def read_file(name: str, path: str | os.PathLike[str]) -> bytes:
    """Read a file. Raises InvalidInput, and MessageTooLarge for one over 2 GiB; `name` is for their messages."""
    try:
        check_size(os.stat(path).st_size)
        with open(path, "rb") as file:
            return file.read()
    except MessageTooLarge as error:
        raise MessageTooLarge(f"{name}: {error}") from None
    except IsADirectoryError:
        raise InvalidInput(f"{name} is a folder: pass the images in it") from None
    except (OSError, ValueError) as error:
        text = os.fsdecode(path)
        if words := _kinds.name_text(text):
            raise InvalidInput(f"{name} {words}") from error
        if isinstance(error, FileNotFoundError):
            home = "; ~ is no folder here, use os.path.expanduser" if text[:1] == "~" else ""
            raise InvalidInput(f"{name}: there is no such file{home}") from None
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise InvalidInput(f"{name} cannot be read: {reason}") from error


def read_open(name: str, file: Any) -> bytes:
    """Read what is left in an open file. Raises InvalidInput."""
    try:
        begun = file.tell() if hasattr(file, "tell") and not inspect.iscoroutinefunction(file.tell) else 0
    except Exception:  # of a pipe, which has no places
        begun = 0
    try:
        data = file.read()
    except Exception as error:  # it is the application's object, and may raise anything
        raise InvalidInput(f"{name} cannot be read: {error}") from error
    if isinstance(data, str):
        raise InvalidInput(f"{name} is a file opened as text: open it with open(path, 'rb')")
    if not isinstance(data, BYTES):
        if inspect.iscoroutine(data):
            data.close()
            raise InvalidInput(f"{name} is read by a coroutine: pass `await image.read()`")
        raise InvalidInput(f"{name} has a read() that returns a {type(data).__name__}, not bytes")
    if not data:
        raise InvalidInput(f"{name} is empty, or was read to its end before: call its seek(0)")
    data = as_bytes(name, data)
    if begun and not _kinds.is_read(data):
        raise InvalidInput(
            f"{name} was read up to byte {begun} before, and no image begins there: call its seek(0)"
        )
    return data


def read_inside(name: str, path: Any) -> bytes:
    """Read what a path inside an archive names. Raises InvalidInput."""
    try:
        return as_bytes(name, path.read_bytes())
    except Exception as error:  # of any kind of archive
        raise InvalidInput(f"{name} cannot be read: {error}") from error


def as_bytes(name: str, data: bytes | bytearray | memoryview) -> bytes:
    """Give bytes in memory as bytes. Raises InvalidInput."""
    try:
        return bytes(data)
    except ValueError as error:  # of a memoryview that was released
        raise InvalidInput(f"{name} cannot be read: {error}") from error
