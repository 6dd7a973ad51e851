"""Find the checkpoint that a path means, by what the files hold rather than by how they are named."""

from __future__ import annotations

import difflib
import re
import stat
from pathlib import Path
from typing import Literal, NamedTuple

from ..errors import ExportError
from .checked_file import CheckedFile, FormatError
from .sstable import Table, has_footer

Format = Literal["V1", "V2"]
DATA_FILE = re.compile(r"(.+)\.data-\d{5}-of-\d{5}")
TABLE_START = 3  # bytes that tell a table
FOREIGN = {
    b"\x89HDF": "an HDF5 file (Keras weights)",
    b"PK\x03\x04": "a zip archive (Keras, PyTorch or NumPy)",
    b"BZh": "a bzip2 archive: unpack it first",
    b"\xfd7zXZ": "an xz archive: unpack it first",
    b"<": "an HTML or XML page: the download went wrong",
}


class Located(NamedTuple):
    """A checkpoint's format and its V1 file or V2 prefix."""

    format: Format
    file: Path


def starts_like_table(head: bytes) -> bool:
    """Tell whether a file's first bytes are a checkpoint's table: an empty key, then a value."""
    return head[:2] == b"\0\0" and head[2:TABLE_START] not in (b"", b"\0")


def is_table(path: Path) -> bool:
    """Tell whether a file is a table, or the beginning of one."""
    file = CheckedFile(path)
    try:
        return has_footer(file) or starts_like_table(file.at(0, min(TABLE_START, file.size)))
    finally:
        file.close()


def locate(path: Path) -> Located:
    """Find the checkpoint meant by a V1 file, a V2 prefix, index or data file, or a folder.

    Raises:
        ExportError: there is none, or more than one; the message says what was found instead.
    """
    if path.is_dir():
        return _locate_in_folder(path)
    if not path.exists():
        if path.with_name(f"{path.name}.index").is_file():
            return Located("V2", path)
        raise ExportError(f"{path} does not exist{_similar(path)}")
    if not stat.S_ISREG(path.stat().st_mode):
        raise ExportError(f"{path} is neither a file nor a folder")
    if path.stat().st_size == 0:
        raise ExportError(f"{path} is empty: download or copy the checkpoint again")
    part = DATA_FILE.fullmatch(path.name)
    if part:
        return _bundle_of(path, part[1])
    if not is_table(path):
        raise ExportError(f"{path} is not a TensorFlow checkpoint{_what_it_is(path)}")
    return _table_format(path)


def _table_format(path: Path) -> Located:
    file = CheckedFile(path)
    try:
        # The first value is a message: field 1 is the metadata in V1, the number of data files in V2.
        is_v1 = Table(file).value(b"")[:1] == b"\x0a"
    except FormatError as error:
        raise ExportError(f"{path} is damaged: {error}; download or copy it again") from error
    finally:
        file.close()
    return Located("V1", path) if is_v1 else _bundle_of(path, path.name.removesuffix(".index"))


def _bundle_of(path: Path, prefix: str) -> Located:
    if not path.with_name(f"{prefix}.index").is_file():
        raise ExportError(f"{path} is one part of a checkpoint: {prefix}.index is missing beside it")
    return Located("V2", path.with_name(prefix))


def _locate_in_folder(folder: Path) -> Located:
    state = folder / "checkpoint"
    if state.is_file():
        return locate(_latest(state))
    found = [entry for entry in sorted(folder.iterdir()) if entry.is_file() and entry.stat().st_size]
    tables = [entry for entry in found if not DATA_FILE.fullmatch(entry.name) and is_table(entry)]
    if len(tables) == 1:
        return locate(tables[0])
    if tables:
        names = ", ".join(entry.name.removesuffix(".index") for entry in tables[:5])
        raise ExportError(f"{folder} holds {len(tables)} checkpoints: name one of them ({names})")
    hint = " (it is a SavedModel already)" if (folder / "saved_model.pb").exists() else ""
    raise ExportError(f"{folder} holds no checkpoint{hint}")


def _latest(state: Path) -> Path:
    """Return the checkpoint that a `checkpoint` file names; moved folders hold it beside that file."""
    from google.protobuf import text_format
    from tensorflow.python.training.checkpoint_state_pb2 import CheckpointState

    try:
        with state.open("rb") as stream:
            text = stream.read(1 << 20)
        latest: str = text_format.Parse(text, CheckpointState()).model_checkpoint_path
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise ExportError(
            f"{state} does not say which checkpoint is the latest: name the one you mean"
        ) from error
    if not latest or "\0" in latest:
        raise ExportError(f"{state} names no checkpoint: name the one you mean")
    path = state.parent / latest
    beside = state.parent / path.name
    for candidate in (path, beside):
        if candidate.is_file() or candidate.with_name(f"{candidate.name}.index").is_file():
            return candidate
    raise ExportError(f"{state} names {latest}, which is not there: name another checkpoint")


def _similar(path: Path) -> str:
    if not path.parent.is_dir():
        return f", nor does the folder {path.parent}"
    names = difflib.get_close_matches(
        path.name, [entry.name for entry in path.parent.iterdir()], n=1, cutoff=0.5
    )
    return f": did you mean {path.with_name(names[0])}?" if names else ""


def _what_it_is(path: Path) -> str:
    with path.open("rb") as stream:
        head = stream.read(8)
    for magic, what in FOREIGN.items():
        if head.startswith(magic):
            return f" but {what}"
    if path.suffix == ".meta":
        return f" but its graph: give {path.with_suffix('')}"
    return ""
