"""Whether a version's files are whole: by the sizes that its exporter recorded, and by how they begin and end."""

import json
import mmap
import re
from collections.abc import Iterator
from pathlib import Path

_RECORD = "assets.extra/export.json"
_GRAPH, _INDEX = "saved_model.pb", "variables/variables.index"
_META_GRAPH = 2  # the field of a SavedModel; saved_model.proto
_INDEX_MAGIC = bytes.fromhex("57fb808b247547db")  # the last 8 bytes of a table; table/format.cc
_VARIABLES = (b"VarHandleOp", b"VariableV2")
_SHARD = re.compile(r"variables\.data-\d{5}-of-(\d{5})")


def damage(version: Path) -> str | None:
    """What is wrong with the files of a version's folder, in words; None where nothing is seen."""
    return next(_damage(version), None)


def _damage(version: Path) -> Iterator[str]:
    for name, size in _recorded(version).items():
        file = version / name
        if not file.is_file():
            yield f"{name} is missing in {version}"
        elif file.stat().st_size != size:
            yield f"{name} in {version} has {file.stat().st_size} bytes, and its export wrote {size}"
    graph = version / _GRAPH
    if graph.is_file() and not _is_saved_model(graph):
        yield f"{graph} is cut off or no SavedModel, it has {graph.stat().st_size} bytes"
    index = version / _INDEX
    if not index.is_file() and graph.is_file() and _has_variables(graph):
        yield f"its graph has variables, and {index} is missing"
    if index.is_file():
        if not index.read_bytes().endswith(_INDEX_MAGIC):
            yield f"{index} is cut off, it has {index.stat().st_size} bytes"
        # One more, of another number of shards, does no harm.
        shards = [match[1] for file in index.parent.iterdir() if (match := _SHARD.fullmatch(file.name))]
        if not any(shards.count(total) == int(total) for total in shards):
            yield f"{index.parent} lacks files of variables, {len(shards)} are there"


def _recorded(version: Path) -> dict[str, int]:
    """The sizes in bytes that export.json gives, by path in the version; none where it gives none."""
    try:
        files = json.loads((version / _RECORD).read_bytes()).get("files")
    except (OSError, ValueError, AttributeError):
        return {}
    return files if isinstance(files, dict) else {}


def _is_saved_model(graph: Path) -> bool:
    """Whether the file is, from its first byte to its last, a message with a meta graph."""
    size = graph.stat().st_size
    at, found = 0, False
    with graph.open("rb") as file:
        while at < size:
            file.seek(at)
            head = file.read(20)
            tag, used = _varint(head)
            kind, number = tag & 7, tag >> 3
            value, more = _varint(head[used:])
            if not used or not more or kind not in (0, 2):
                return False
            at += used + more + (value if kind == 2 else 0)
            found = found or number == _META_GRAPH
    return found and at == size


def _has_variables(graph: Path) -> bool:
    """Whether an operation of the graph is a variable, which the server restores from a file, if it is there."""
    if not graph.stat().st_size:
        return False
    with graph.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return any(data.find(operation) >= 0 for operation in _VARIABLES)


def _varint(data: bytes) -> tuple[int, int]:
    """The number that the bytes begin with, and how many they are; 0 bytes where there is none."""
    value = 0
    for index, byte in enumerate(data[:10]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, index + 1
    return 0, 0
