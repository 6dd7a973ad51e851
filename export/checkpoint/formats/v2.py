"""V2 checkpoints ("tensor bundles"): a small table of entries in PREFIX.index, bare bytes in PREFIX.data-*.

The messages are tensorflow/core/protobuf/tensor_bundle.proto. A partitioned variable has an entry that lists
its slices, and one for each slice.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy.typing as npt

from .checked_file import (
    COPY_IT,
    CheckedFile,
    FormatError,
    IncompleteError,
    Sink,
    Target,
    UnsupportedError,
    as_bytes,
    masked_crc,
    naming,
)
from .links import broken_link
from .slices import Piece, pieces_of, require_whole, tensor_key
from .sstable import Table
from .tensor_spec import STRINGS, TensorSpec, tensor_spec

_LFS = b"version https://git-lfs"
DATA_FILE = re.compile(r"(.+)\.data-\d{5}-of-\d{5}")


def data_file(prefix: Path, shard: int, shards: int) -> Path:
    """Return the name of one data file of a bundle."""
    return prefix.with_name(f"{prefix.name}.data-{shard:05d}-of-{shards:05d}")


class V2Bundle:
    """An open V2 checkpoint.

    Attributes:
        tensors: what is in it.
        files: the index, then the data files that it refers to.

    Raises:
        FormatError: damaged, a data file is missing or too short, or more is claimed than the files can hold.
    """

    def __init__(self, prefix: Path) -> None:
        with closing(CheckedFile(prefix.with_name(f"{prefix.name}.index"))) as index:
            self._shards, entries, slices = _index(index)
            self._ends = _ends([*entries.values(), *slices.values()])
        self._prefix = prefix
        self._data: dict[int, CheckedFile] = {}
        self.tensors: dict[str, TensorSpec] = {}
        self._stored: dict[str, list[tuple[Any, Piece]]] = {}
        try:
            for name, entry in entries.items():
                with naming(name):
                    self.tensors[name] = spec = tensor_spec(entry.shape, entry.dtype)
                    self._stored[name] = self._pieces(name, spec, entry, slices)
            stored = [entry for parts in self._stored.values() for entry, _ in parts]
            claimed, held = (sum(each.size for each in all_of) for all_of in (stored, self._data.values()))
            if claimed > held:
                raise FormatError(f"it claims {claimed:,} bytes of tensors in files of {held:,}")
        except FormatError:
            self.close()
            raise
        self.files = [index.path, *(self._data[shard].path for shard in sorted(self._data))]

    def close(self) -> None:
        """Close the data files."""
        for file in self._data.values():
            file.close()

    def read(
        self, names: Iterable[str], progress: Callable[[int], None] | None, sinks: Mapping[str, Sink]
    ) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        """Yield the named tensors in the files' order, but for those of `sinks` that are in one piece.

        `progress` gets each step's bytes.

        Raises:
            FormatError: a tensor is damaged; its name is in the error's `tensor`.
        """
        for name in sorted(names, key=self._place):
            stored, spec = self._stored[name], self.tensors[name]
            with naming(name):
                if spec.dtype == STRINGS:
                    raise UnsupportedError("tensors of strings are not supported")
                if name in sinks and len(stored) == 1:
                    entry, _ = stored[0]
                    self._fill(entry, Target.sink(entry.offset, entry.size, sinks[name]), progress)
                    continue
                array = spec.empty()
                for entry, piece in stored:
                    view = piece.of(array)
                    into = view if view.flags.c_contiguous else spec._replace(shape=piece.shape).empty()
                    self._fill(entry, Target.array(entry.offset, as_bytes(into)), progress)
                    if into is not view:
                        view[...] = into
            yield name, array
            del array, view, into

    def _place(self, name: str) -> tuple[int, int]:
        return min((entry.shard_id, entry.offset) for entry, _ in self._stored[name])

    def _fill(self, entry: Any, target: Target, progress: Callable[[int], None] | None) -> None:
        end = entry.offset + entry.size
        crc = self._data[entry.shard_id].fill(entry.offset, end, [target], progress)
        if entry.crc32c != masked_crc(crc):
            raise FormatError("its checksum does not match")

    def _pieces(
        self, name: str, spec: TensorSpec, entry: Any, slices: Mapping[bytes, Any]
    ) -> list[tuple[Any, Piece]]:
        """Return the entries that hold a tensor's bytes, each with its piece, all of them checked."""
        if not entry.slices:
            self._check(entry, spec)
            return [(entry, Piece(tensor_key(name, len(spec.shape)), (0,) * len(spec.shape), spec.shape))]
        found = pieces_of(name, spec.shape, entry.slices)
        require_whole(spec.shape, found)
        stored = []
        for piece in found:
            if piece.key not in slices:
                raise FormatError("some of its slices are missing")
            part = slices[piece.key]
            if tensor_spec(part.shape, part.dtype) != (piece.shape, spec.dtype):
                raise FormatError("its slices differ in shape or type from what its entry says")
            self._check(part, spec._replace(shape=piece.shape))
            stored.append((part, piece))
        return stored

    def _check(self, entry: Any, spec: TensorSpec) -> None:
        """Refuse an entry whose bytes are not those of `spec`, or lie outside its data file."""
        if not 0 <= entry.shard_id < self._shards:
            raise FormatError("it points to a data file that does not exist")
        file = self._open(entry.shard_id)
        if entry.offset < 0 or entry.size < 0 or entry.offset + entry.size > file.size:
            raise FormatError(f"its data ends beyond the end of {file.path.name}, which was cut short")
        if spec.dtype != STRINGS and entry.size != spec.nbytes:
            raise FormatError(f"it has {entry.size:,} bytes of data instead of {spec.nbytes:,}")

    def _open(self, shard: int) -> CheckedFile:
        if shard not in self._data:
            path = data_file(self._prefix, shard, self._shards)
            try:
                self._data[shard] = CheckedFile(path)
            except FileNotFoundError as error:
                raise IncompleteError(self._missing(path, shard)) from error
            if self._data[shard].at(0, min(len(_LFS), self._data[shard].size)) == _LFS:
                raise IncompleteError(
                    f"{path.name} is a pointer of Git LFS to data that was not downloaded: run `git lfs pull` in the "
                    "repository"
                )
        return self._data[shard]

    def _missing(self, path: Path, shard: int) -> str:
        """Say that a data file is missing, and which file beside it has its size: people rename downloads."""
        if link := broken_link(path):
            return link
        said = f"its data file {path.name} is missing"
        same = [
            entry.name
            for entry in path.parent.iterdir()
            if entry.is_file() and entry.stat().st_size == self._ends[shard] and not _is_in_place(entry)
        ]
        if len(same) == 1 and self._ends[shard]:
            return f"{said}; {same[0]} beside it has the right size: rename it to {path.name}"
        return f"{said}: {COPY_IT}"


def _is_in_place(path: Path) -> bool:
    """Tell whether a file is an index, or data with the index that it belongs to beside it."""
    part = DATA_FILE.fullmatch(path.name)
    return path.suffix == ".index" or bool(part and path.with_name(f"{part[1]}.index").exists())


def _ends(entries: Iterable[Any]) -> dict[int, int]:
    """Return how long each data file is, by its number."""
    ends: dict[int, int] = defaultdict(int)
    for entry in entries:
        ends[entry.shard_id] = max(ends[entry.shard_id], entry.offset + entry.size)
    return ends


def _index(file: CheckedFile) -> tuple[int, dict[str, Any], dict[bytes, Any]]:
    """Return the number of data files, and the BundleEntryProtos: of each tensor, and of each slice by its key."""
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf.tensor_bundle_pb2 import BundleEntryProto, BundleHeaderProto

    items = Table(file).items()
    try:
        key, value = next(items, (None, b""))
        if key != b"":
            raise FormatError("its header is missing")
        header = BundleHeaderProto.FromString(value)
        if header.endianness != BundleHeaderProto.LITTLE:
            raise UnsupportedError("it was written by a big-endian machine: save it again on this one")
        entries = {key: BundleEntryProto.FromString(value) for key, value in items}
        # The slices of partitioned variables have keys that start with a zero byte, and come on top of the variables.
        tensors = {key.decode(): entry for key, entry in entries.items() if key[:1] != b"\x00"}
    except (DecodeError, UnicodeDecodeError) as error:
        raise FormatError("its index is malformed") from error
    return header.num_shards, tensors, {key: entry for key, entry in entries.items() if key[:1] == b"\x00"}
