"""Tell a checkpoint's table, the container of both formats, by the first and the last bytes of a file."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from ...errors import ExportError
from ..formats.checked_file import CheckedFile
from ..formats.sstable import Table, has_footer
from .foreign import what_it_is

TABLE_START = 3  # bytes that tell a table


def starts_like_table(head: bytes) -> bool:
    """Tell whether a file's first bytes are a checkpoint's table: an empty key, then a value."""
    return head[:2] == b"\0\0" and head[2:TABLE_START] not in (b"", b"\0")


def is_table(path: Path, *, whole: bool = False) -> bool:
    """Tell whether a file is a table or, unless it has to be `whole`, the beginning of one."""
    with closing(CheckedFile(path)) as file:
        return has_footer(file) or (not whole and starts_like_table(file.at(0, min(TABLE_START, file.size))))


def require_table(path: Path) -> None:
    """Refuse what stands in a table's place, such as a pointer of Git LFS.

    Raises:
        ExportError: it is neither a table nor empty, as a table that was cut off may be.
    """
    if path.stat().st_size and not is_table(path):
        raise ExportError(f"{path} {what_it_is(path)}")


def is_v1(path: Path) -> bool:
    """Tell by the first value, a message: field 1 is the metadata in V1, the number of data files in V2.

    Raises:
        FormatError: the table is damaged.
    """
    with closing(CheckedFile(path)) as file:
        return Table(file).value(b"")[:1] == b"\x0a"
