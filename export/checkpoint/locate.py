"""Find the checkpoint that a path means, by what the files hold rather than by how they are named."""

from __future__ import annotations

import difflib
import re
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Literal, NamedTuple

from ..errors import ExportError
from .foreign import described, is_of_another_tool, what_it_is
from .formats.checked_file import COPY_IT, CheckedFile, FormatError
from .formats.links import broken_link
from .formats.sstable import Table, has_footer
from .formats.v2 import DATA_FILE
from .state_file import STATE_FILE, candidates, is_state, paths_in
from .unfinished import is_unfinished, left_unfinished, refuse_unfinished

Format = Literal["V1", "V2"]
TABLE_START = 3  # bytes that tell a table
# Files of V1 as `Saver(sharded=True)` writes and names them.
_SHARD = re.compile(r"(.+)(?<!\.data)-(?:\d{5}|\?{5})-of-(\d{5})")
_MOST_NAMES = 5


class Located(NamedTuple):
    """Where a checkpoint lies.

    Attributes:
        format: see above.
        file: the V1 file, or what the names of its files start with.
        shards: the V1 files; none for V2.
        notes: what was chosen or passed over on the way, a sentence each.
        shown: `file` for people, where it lies in an archive.
    """

    format: Format
    file: Path
    shards: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    shown: Path | None = None


def starts_like_table(head: bytes) -> bool:
    """Tell whether a file's first bytes are a checkpoint's table: an empty key, then a value."""
    return head[:2] == b"\0\0" and head[2:TABLE_START] not in (b"", b"\0")


def locate(path: Path, *, unpacked: bool = False) -> Located:
    """Find the checkpoint meant by a V1 file, one of its shards, a V2 prefix, index or data file, or a folder.

    A folder's `checkpoint` file says which is the latest, given itself or by its folder. Of the path that it names,
    what lies beside it comes first: folders are copied and moved.

    Args:
        path: as above.
        unpacked: the path is a folder unpacked from an archive, whose `checkpoint` file may not lead out of it.

    Raises:
        ExportError: there is none, or more than one; the message says what was found instead.
    """
    if path.is_dir():
        return _in_folder(path, unpacked=unpacked)
    if is_state(path):
        return _latest(path, unpacked=unpacked)
    return _named(path)


def _named(path: Path) -> Located:
    """The checkpoint that a file, a prefix or a pattern of shards means."""
    if found := _by_its_name(path):
        return found
    if not path.exists():
        raise ExportError(broken_link(path) or f"{path} does not exist{_similar(path)}")
    if not stat.S_ISREG(path.stat().st_mode):
        raise ExportError(f"{path} is neither a file nor a folder")
    refuse_unfinished(path)
    if part := DATA_FILE.fullmatch(path.name):
        return _bundle_of(path, part[1])
    if not _is_table(path):
        raise ExportError(f"{path} {what_it_is(path)}")
    try:
        is_v1 = _is_v1(path)
    except FormatError as error:
        raise ExportError(f"{path} is damaged: {error}; download or copy it again") from error
    if not is_v1:
        return _bundle_of(path, path.name.removesuffix(".index"))
    shard = _SHARD.fullmatch(path.name)
    return _shards(path.with_name(shard[1]), int(shard[2])) if shard else Located("V1", path, (path,))


def _by_its_name(path: Path) -> Located | None:
    """A prefix of V2 files, or of V1 shards.

    A file of the prefix's own name that is no table is passed over: an empty one, or a data file that was renamed.
    """
    index = path.with_name(f"{path.name}.index")
    if path.is_file() and _is_table(path, whole=index.is_file()):
        return None
    if index.is_file():
        _require_table(index)
        passed_over = (f"{path.name} itself is no table: {path.name}.index and its data are read",)
        return Located("V2", path, notes=passed_over if path.is_file() else ())
    pattern = _SHARD.fullmatch(path.name)
    if pattern and not path.exists():
        return _shards(path.with_name(pattern[1]), int(pattern[2]))
    if path.exists() or not path.parent.is_dir():
        return None
    counts = {
        int(found[2])
        for entry in path.parent.iterdir()
        if (found := _SHARD.fullmatch(entry.name)) and found[1] == path.name
    }
    return _shards(path, max(counts)) if counts else None


def _shards(prefix: Path, count: int) -> Located:
    files = [prefix.with_name(f"{prefix.name}-{number:05d}-of-{count:05d}") for number in range(count)]
    for file in files:
        if not file.is_file():
            raise ExportError(
                f"{prefix} is incomplete: {file.name} is missing, one of its {count:,} files; {COPY_IT}"
            )
        _require_table(file)
    return Located("V1", prefix, tuple(files))


def _is_table(path: Path, *, whole: bool = False) -> bool:
    """Tell whether a file is a table or, unless it has to be `whole`, the beginning of one."""
    with closing(CheckedFile(path)) as file:
        return has_footer(file) or (not whole and starts_like_table(file.at(0, min(TABLE_START, file.size))))


def _require_table(path: Path) -> None:
    """Refuse what stands in a table's place, such as a pointer of Git LFS."""
    if path.stat().st_size and not _is_table(path):
        raise ExportError(f"{path} {what_it_is(path)}")


def _is_v1(path: Path) -> bool:
    """Tell by the first value, a message: field 1 is the metadata in V1, the number of data files in V2."""
    with closing(CheckedFile(path)) as file:
        return Table(file).value(b"")[:1] == b"\x0a"


def _bundle_of(path: Path, prefix: str) -> Located:
    if (index := path.with_name(f"{prefix}.index")).is_file():
        _require_table(index)
        return Located("V2", path.with_name(prefix))
    if DATA_FILE.fullmatch(path.name):
        raise ExportError(
            f"{path} is one part of a checkpoint: {prefix}.index is missing beside it; {COPY_IT}"
        )
    parts = [DATA_FILE.fullmatch(entry.name) for entry in path.parent.iterdir()]
    owners = {part[1] for part in parts if part and prefix.startswith(part[1])}
    prefix = max(owners, key=len, default=prefix)
    raise ExportError(
        f"{path} is the index of a checkpoint, without .index at the end of its name: rename it to {prefix}.index, "
        f"beside its data {prefix}.data-00000-of-00001"
    )


def _in_folder(folder: Path, *, unpacked: bool) -> Located:
    state = folder / STATE_FILE
    if is_state(state) or (state.is_file() and not _is_table(state)):
        return _latest(state, unpacked=unpacked)
    prefixes = _prefixes(folder)
    left = left_unfinished(folder)
    if len(prefixes) == 1:
        found = _named(folder / prefixes[0])
        return found._replace(notes=(*found.notes, f"{left}, is not read")) if left else found
    if prefixes:
        which = "unpack it, then name" if unpacked else "name"
        raise ExportError(
            f"{folder} holds {len(prefixes)} checkpoints: {which} one of them ({_listed(prefixes)})"
        )
    raise ExportError(f"{folder} holds no checkpoint{f' but {left}' if left else _what_is_there(folder)}")


def _prefixes(folder: Path) -> list[str]:
    """The names that a folder's checkpoints are given by, the latest steps first."""
    found = {
        shard[1] if (shard := _SHARD.fullmatch(entry.name)) else entry.name.removesuffix(".index")
        for entry in _files(folder)
        if not DATA_FILE.fullmatch(entry.name) and _is_table(entry)
    }
    return sorted(found, key=lambda name: (-_step(name), name))


def _step(name: str) -> int:
    number = re.search(r"-(\d{1,18})$", name)
    return int(number[1]) if number else -1


def _files(folder: Path) -> Iterator[Path]:
    """The files of a folder that can be opened and are not empty."""
    for entry in sorted(folder.iterdir()):
        try:
            if entry.is_file() and entry.stat().st_size and not is_unfinished(entry):
                entry.open("rb").close()
                yield entry
        except OSError:
            continue


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_MOST_NAMES]) + (" and older ones" if len(names) > _MOST_NAMES else "")


def _what_is_there(folder: Path) -> str:
    """What a folder without a checkpoint holds instead, and what to do."""
    if (folder / "saved_model.pb").exists():
        return " (it is a SavedModel already): serve it as it is, or give the checkpoint it was made of"
    if (folder / "_CHECKPOINT_METADATA").exists():
        return f" of slim's: it {described(b'', 'x.orbax')}"
    entries = sorted(folder.iterdir())
    if not entries:
        return ": it is empty"
    files = list(_files(folder))
    for file in files:
        if part := DATA_FILE.fullmatch(file.name):
            return f": {file.name} is there, but not {part[1]}.index; {COPY_IT}"
    for file in files:
        if file.suffix == ".meta":
            return f": {file.name} is a graph without weights; copy {file.stem}.index and its .data files too"
    below = [entry for entry in entries if entry.is_dir() and _holds_checkpoint(entry)]
    if served := [entry for entry in entries if (entry / "saved_model.pb").exists()]:
        return f" but a SavedModel already, {served[0]}: serve it as it is, or give the checkpoint it was made of"
    if below:
        return f" itself: give {below[0]}" + (f", or another of {len(below)} folders" if below[1:] else "")
    for file in files:
        if not file.name.startswith(".") and is_of_another_tool(said := what_it_is(file)):
            return f": {file.name} {said}"
    return ": give the folder with model.ckpt-STEP.index and its .data files, or a V1 file"


def _holds_checkpoint(folder: Path) -> bool:
    try:
        return is_state(folder / STATE_FILE) or bool(_prefixes(folder))
    except OSError:
        return False


def _latest(state: Path, *, unpacked: bool) -> Located:
    """The checkpoint that a `checkpoint` file names."""
    names = paths_in(state)
    there = [str(state.parent / name) for name in _prefixes(state.parent)]
    advice = f"name one of those that are there ({_listed(there)})" if there else "name the one you mean"
    if not names:
        raise ExportError(f"{state} does not say which checkpoint is the latest: {advice}")
    for name in names:
        for candidate in candidates(state.parent, name, unpacked=unpacked):
            if candidate.is_dir() or is_state(candidate):
                continue
            if candidate.is_file() or _by_its_name(candidate):
                found = _named(candidate)
                elsewhere = candidate.parent.absolute() != state.parent.absolute()
                if not elsewhere and there and _step(Path(there[0]).name) > _step(found.file.name):
                    later = f"{there[0]} beside it has a later step: give that one to --ckpt if it is meant"
                    found = found._replace(
                        notes=(*found.notes, f"{state.name} names {found.file.name}; {later}")
                    )
                if not elsewhere and found.file.absolute() == (state.parent / name).absolute():
                    return found
                which = found.file if elsewhere else f"{found.file.name} beside it"
                note = f"{state.name} names {name}: {which} is read"
                return found._replace(notes=(*found.notes, note))
    if unpacked and len(there) == 1:  # there is no other way to name it
        found = _named(Path(there[0]))
        note = f"{state.name} names {names[0]}, which is not in the archive: {found.file.name}, the only one, is read"
        return found._replace(notes=(*found.notes, note))
    raise ExportError(f"{state} names {names[0]}, which is not there: {advice}")


def _similar(path: Path) -> str:
    """What to type instead of a path that is not there."""
    folder = path.parent
    if not folder.is_dir():
        return f", nor does the folder {folder}"
    try:
        prefixes = _prefixes(folder)
    except OSError as error:
        return f", or the folder {folder} may not be read: {error.strerror}"
    if said := broken_link(path.with_name(f"{path.name}.index")):
        return f": {said}"
    for entry in sorted(folder.iterdir()):
        if (part := DATA_FILE.fullmatch(entry.name)) and part[1] == path.name:
            return f": {entry.name} is there, but not {path.name}.index; {COPY_IT}"
    begun = [name for name in prefixes if name.startswith(path.name) or path.name.startswith(name)]
    others = [entry.name for entry in folder.iterdir() if entry.is_dir() or ".tar" in entry.name]
    close = begun or difflib.get_close_matches(path.name, [*prefixes, *others], n=1, cutoff=0.5)
    if close:
        return f": did you mean {path.with_name(close[0])}?"
    return f": {folder} holds {_listed(prefixes)}" if prefixes else ""
