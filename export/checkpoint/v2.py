"""V2 checkpoints ("tensor bundles"): a small table of entries in PREFIX.index, bare bytes in PREFIX.data-*.

The messages are tensorflow/core/protobuf/tensor_bundle.proto.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt

from .checked_file import (
    CheckedFile,
    FormatError,
    Sink,
    Target,
    UnsupportedError,
    as_bytes,
    masked_crc,
    naming,
)
from .sstable import Table
from .tensor_spec import STRINGS, TensorSpec, tensor_spec


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
        index = CheckedFile(prefix.with_name(f"{prefix.name}.index"))
        try:
            self._shards, self._entries = _index(index)
        finally:
            index.close()
        self._prefix = prefix
        self._data: dict[int, CheckedFile] = {}
        self.tensors: dict[str, TensorSpec] = {}
        try:
            for name, entry in self._entries.items():
                with naming(name):
                    self.tensors[name] = self._checked_spec(entry)
            claimed, held = sum(entry.size for entry in self._entries.values()), self._held()
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
        """Yield the named tensors in the files' order, but for those that go to `sinks`.

        `progress` gets each step's bytes.

        Raises:
            FormatError: a tensor is damaged; its name is in the error's `tensor`.
        """
        for name in sorted(
            names, key=lambda name: (self._entries[name].shard_id, self._entries[name].offset)
        ):
            entry, spec = self._entries[name], self.tensors[name]
            with naming(name):
                _require_whole(entry, spec)
                if name in sinks:
                    self._fill(entry, Target.sink(entry.offset, entry.size, sinks[name]), progress)
                    continue
                array = spec.empty()
                self._fill(entry, Target.array(entry.offset, as_bytes(array)), progress)
            yield name, array
            del array

    def _fill(self, entry: Any, target: Target, progress: Callable[[int], None] | None) -> None:
        end = entry.offset + entry.size
        crc = self._data[entry.shard_id].fill(entry.offset, end, [target], progress)
        if entry.crc32c != masked_crc(crc):
            raise FormatError("its checksum does not match")

    def _checked_spec(self, entry: Any) -> TensorSpec:
        spec = tensor_spec(entry.shape, entry.dtype)
        if entry.slices:
            return spec
        if not 0 <= entry.shard_id < self._shards:
            raise FormatError("it points to a data file that does not exist")
        file = self._open(entry.shard_id)
        if entry.offset < 0 or entry.size < 0 or entry.offset + entry.size > file.size:
            raise FormatError(f"its data ends beyond the end of {file.path.name}, which was cut short")
        if spec.dtype != STRINGS and entry.size != spec.nbytes:
            raise FormatError(f"it has {entry.size:,} bytes of data instead of {spec.nbytes:,}")
        return spec

    def _open(self, shard: int) -> CheckedFile:
        if shard not in self._data:
            path = data_file(self._prefix, shard, self._shards)
            try:
                self._data[shard] = CheckedFile(path)
            except FileNotFoundError as error:
                raise FormatError(f"its data file {path.name} is missing") from error
        return self._data[shard]

    def _held(self) -> int:
        return sum(file.size for file in self._data.values())


def _require_whole(entry: Any, spec: TensorSpec) -> None:
    if entry.slices:
        raise UnsupportedError("it is stored in slices: save it unpartitioned")
    if spec.dtype == STRINGS:
        raise UnsupportedError("tensors of strings are not supported")


def _index(file: CheckedFile) -> tuple[int, dict[str, Any]]:
    """Return the number of data files, and the BundleEntryProto of each tensor."""
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
        # The pieces of a partitioned variable, with keys that start with a zero byte, come on top of it.
        entries = {
            key.decode(): BundleEntryProto.FromString(value) for key, value in items if key[:1] != b"\x00"
        }
    except (DecodeError, UnicodeDecodeError) as error:
        raise FormatError("its index is malformed") from error
    return header.num_shards, entries
