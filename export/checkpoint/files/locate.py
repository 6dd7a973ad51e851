"""Find the checkpoint that a path means, by what the files hold rather than by how they are named."""

from __future__ import annotations

import difflib
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from ...errors import ExportError
from ..formats.checked_file import COPY_IT, FormatError
from ..formats.links import broken_link
from ..formats.v2 import DATA_FILE
from .foreign import described, is_of_another_tool, what_it_is
from .shards import pattern_of, shard_counts, shard_named, shards_of
from .state_file import STATE_FILE, candidates, is_state, paths_in
from .tables import is_table, is_v1, require_table
from .unfinished import is_unfinished, left_unfinished

Format = Literal["V1", "V2"]
_MOST_NAMES = 5


class Located(NamedTuple):
    """Where a checkpoint lies."""

    format: Format
    file: Path  # the V1 file, or what the names of its files start with
    shards: tuple[Path, ...] = ()  # the V1 files; none for V2
    notes: tuple[str, ...] = ()  # what was chosen or passed over on the way, a sentence each
    shown: Path | None = None  # `file` for people, where it lies in an archive


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
        found = _in_folder(path, unpacked=unpacked)
    else:
        found = _latest(path, unpacked=unpacked) if is_state(path) else _named(path)
    _refuse_export(found.file)
    return found


def _refuse_export(prefix: Path) -> None:
    """Raise ExportError of the variables of an export: they are no longer slim's, or lack how images are prepared."""
    version = prefix.parent.parent
    record = version / "assets.extra" / "export.json"
    if prefix.parent.name == "variables" and record.is_file():
        raise ExportError(
            f"{prefix} holds the variables of an export, which is served as it is, {version}: to export anew, give the "
            f"checkpoint that it was made of, which {record} names"
        )


def _named(path: Path) -> Located:
    """The checkpoint that a file, a prefix or a pattern of shards means."""
    if found := _by_its_name(path):
        return found
    if not path.exists():
        raise ExportError(broken_link(path) or f"{path} does not exist{_similar(path)}")
    if not stat.S_ISREG(path.stat().st_mode):
        raise ExportError(f"{path} is neither a file nor a folder")
    if is_unfinished(path):  # its data may be a part of what it lists
        raise ExportError(f"{path} was left behind by a save that did not end: give another checkpoint")
    if part := DATA_FILE.fullmatch(path.name):
        return _bundle_of(path, part[1])
    if not is_table(path):
        raise ExportError(f"{path} {what_it_is(path)}")
    try:
        v1 = is_v1(path)
    except FormatError as error:
        raise ExportError(f"{path} is damaged: {error}; download or copy it again") from error
    if not v1:
        return _bundle_of(path, path.name.removesuffix(".index"))
    if shard := shard_named(path.name):
        return _sharded(path.with_name(shard.prefix), shard.total)
    return Located("V1", path, (path,), _also_in_shards(path))


def _by_its_name(path: Path) -> Located | None:
    """A prefix of V2 files, or of V1 shards.

    Beside V2 files, a file of the prefix's own name is passed over: V1, as TensorFlow passes it over, or no table, such
    as an empty one or a data file that was renamed.
    """
    index = path.with_name(f"{path.name}.index")
    if index.is_file():
        require_table(index)
        own = (_passed_over(path),) if path.is_file() else ()
        return Located("V2", path, notes=own + _also_in_shards(path))
    if path.is_file() and is_table(path):
        return None
    shard = shard_named(path.name)
    if shard and not path.exists():
        return _sharded(path.with_name(shard.prefix), shard.total)
    if path.exists() or not path.parent.is_dir():
        return None
    counts = shard_counts(path)
    if len(counts) > 1:
        patterns = " or ".join(f"'{path.with_name(pattern_of(path.name, count))}'" for count in counts)
        raise ExportError(
            f"{path} is there in {' and in '.join(f'{count:,}' for count in counts)} shards, which several runs saved: "
            f"name the one you mean, {patterns}"
        )
    return _sharded(path, counts[0]) if counts else None


def _passed_over(path: Path) -> str:
    """What is said of the file that has the own name of a V2 checkpoint."""
    read = f"{path.name}.index and its data are read"
    if not is_table(path, whole=True):
        return f"{path.name} itself is no table: {read}"
    return (
        f"{path.name} itself is a table, as checkpoints of format V1 are: {read}, as TensorFlow reads them; to export "
        "that file, move it into a folder of its own"
    )


def _also_in_shards(path: Path) -> tuple[str, ...]:
    """What is said of shards beside a checkpoint of the same name, which TensorFlow passes over."""
    try:
        counts = shard_counts(path)
    except OSError:  # a folder may not be listed, and its files be read all the same
        return ()
    patterns = " and ".join(pattern_of(path.name, count) for count in counts)
    return (f"shards of the same name are passed over, {patterns}",) if counts else ()


def _sharded(prefix: Path, count: int) -> Located:
    return Located("V1", prefix, shards_of(prefix, count))


def _bundle_of(path: Path, prefix: str) -> Located:
    if (index := path.with_name(f"{prefix}.index")).is_file():
        require_table(index)
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
    if is_state(state) or (state.is_file() and not is_table(state)):
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
        shard.prefix if (shard := shard_named(entry.name)) else entry.name.removesuffix(".index")
        for entry in _files(folder)
        if not DATA_FILE.fullmatch(entry.name) and is_table(entry)
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
