"""V1 checkpoints: tables, with a message of names, shapes and types, then a SavedTensorSlices per slice of a tensor.

There is one file, or one for each device of `Saver(sharded=True)`. The messages are
tensorflow/core/util/saved_tensor_slice.proto. Floats lie packed in the message and are read straight into the array;
protobuf would hold them three times.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .checked_file import (
    Bytes,
    CheckedFile,
    FormatError,
    Sink,
    Target,
    UnsupportedError,
    as_bytes,
    naming,
)
from .slices import Piece, pieces_of, require_whole
from .sstable import Handle, Table, varint
from .tensor_spec import STRINGS, TensorSpec, tensor_spec

MOST_FIELDS = 16  # of one message; a saved tensor has three
PACKED_FIELDS = {np.dtype("<f4"): 5, np.dtype("<f8"): 6}  # TensorProto.float_val, .double_val


class _Stored(NamedTuple):
    """A piece of a tensor, and where its data is to go."""

    name: str
    spec: TensorSpec
    piece: Piece
    whole: bool

    @property
    def packed(self) -> bool:
        return self.spec.dtype in PACKED_FIELDS


class V1Files:
    """An open V1 checkpoint.

    Attributes:
        tensors: what is in it.
        files: its files, one for each shard.

    Raises:
        FormatError: damaged, or it claims more than the files can hold.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.files = list(paths)
        self.tensors: dict[str, TensorSpec] = {}
        self._stored: dict[str, list[tuple[int, Piece]]] = defaultdict(list)
        self._shards: list[_Shard] = []
        with ExitStack() as stack:
            for number, path in enumerate(paths):
                self._shards.append(shard := _Shard(path))
                stack.callback(shard.close)
                for name, (spec, found) in shard.contents().items():
                    with naming(name):
                        if self.tensors.setdefault(name, spec) != spec:
                            raise FormatError("its shape or type differs between the shards")
                    self._stored[name] += [(number, piece) for piece in found]
            # Every number takes at least a byte of the file, a float all of its bytes.
            least = sum(
                spec.nbytes if spec.dtype in PACKED_FIELDS else spec.elements
                for spec in self.tensors.values()
            )
            held = sum(shard.size for shard in self._shards)
            if least > held:
                raise FormatError(f"it claims {least:,} bytes of tensors in a file of {held:,}")
            self._cleanup = stack.pop_all()

    def close(self) -> None:
        """Close the files."""
        self._cleanup.close()

    def read(
        self, names: Iterable[str], progress: Callable[[int], None] | None, sinks: Mapping[str, Sink]
    ) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        """Yield the named tensors in the files' order, but for those of `sinks` that are floats in one piece.

        Every block is read once, however many tensors it has pieces of. `progress` gets each step's bytes.

        Raises:
            FormatError: a tensor is damaged; its name is in the error's `tensor`.
        """
        blocks: dict[tuple[int, Handle], list[_Stored]] = defaultdict(list)
        left: dict[str, int] = {}
        for name in sorted(names):
            found, spec = self._stored[name], self.tensors[name]
            with naming(name):
                require_whole(spec.shape, [piece for _, piece in found])
                left[name] = len(found)
                for number, piece in found:
                    block = self._shards[number].table.block_of(piece.key)
                    blocks[number, block].append(_Stored(name, spec, piece, len(found) == 1))
        arrays: dict[str, npt.NDArray[Any]] = {}
        for (number, block), wanted in sorted(blocks.items(), key=lambda item: item[0]):
            with naming(_one_of(sorted({stored.name for stored in wanted}))):
                self._shards[number].read(block, wanted, arrays, progress, sinks)
            for stored in wanted:
                name = stored.name
                left[name] -= 1
                if not left[name] and name in arrays:
                    yield name, arrays.pop(name)


class _Shard:
    """One file of a V1 checkpoint."""

    def __init__(self, path: Path) -> None:
        self._file = CheckedFile(path)
        self.size = self._file.size
        try:
            self.table = Table(self._file)
        except FormatError:
            self.close()
            raise

    def close(self) -> None:
        self._file.close()

    def contents(self) -> dict[str, tuple[TensorSpec, list[Piece]]]:
        """Return what the file lists: the tensors, and the pieces of them that it holds."""
        from google.protobuf.message import DecodeError
        from tensorflow.core.util.saved_tensor_slice_pb2 import SavedTensorSlices

        try:
            saved = SavedTensorSlices.FromString(self.table.value(b"")).meta.tensor
        except DecodeError as error:
            raise FormatError("its metadata is malformed") from error
        tensors: dict[str, tuple[TensorSpec, list[Piece]]] = {}
        for tensor in saved:
            with naming(tensor.name):
                if tensor.name in tensors:
                    raise FormatError("it is listed twice")
                spec = tensor_spec(tensor.shape, tensor.type)
                tensors[tensor.name] = spec, pieces_of(tensor.name, spec.shape, tensor.slice)
        return tensors

    def read(
        self,
        block: Handle,
        wanted: Sequence[_Stored],
        arrays: dict[str, npt.NDArray[Any]],
        progress: Callable[[int], None] | None,
        sinks: Mapping[str, Sink],
    ) -> None:
        """Read a block's pieces into the arrays of their tensors, made where they are not there yet, or to sinks."""
        places = {key: (offset, size) for key, offset, size in self.table.entries(block)}
        targets: list[Target] = []
        copies: list[tuple[_Stored, npt.NDArray[Any]]] = []
        for stored in wanted:
            with naming(stored.name):
                if stored.piece.key not in places:
                    raise FormatError("its data is missing")
                offset, size = places[stored.piece.key]
                part = stored.spec._replace(shape=stored.piece.shape)
                if stored.packed:
                    offset, end = self._packed(part, offset, offset + size)
                    if end - offset != part.nbytes:
                        raise FormatError(f"it has {end - offset:,} bytes of data instead of {part.nbytes:,}")
                if stored.packed and stored.whole and stored.name in sinks:
                    targets.append(Target.sink(offset, part.nbytes, sinks[stored.name]))
                    continue
                if stored.name not in arrays and stored.packed:
                    arrays[stored.name] = stored.spec.empty()
                if stored.packed and (view := stored.piece.of(arrays[stored.name])).flags.c_contiguous:
                    into = view
                else:
                    into = part.empty() if stored.packed else np.empty(size, np.uint8)
                    copies.append((stored, into))
            targets.append(Target.array(offset, as_bytes(into)))
        self.table.read_block(block, targets, progress)
        for stored, data in copies:
            with naming(stored.name):
                part = stored.spec._replace(shape=stored.piece.shape)
                if not stored.packed:
                    data = _parsed(data, part)
                if stored.whole:
                    arrays[stored.name] = data
                    continue
                if stored.name not in arrays:
                    arrays[stored.name] = stored.spec.empty()
                stored.piece.of(arrays[stored.name])[...] = data

    def _packed(self, spec: TensorSpec, start: int, end: int) -> tuple[int, int]:
        """Return the range of the floats in the message at [start, end): data.data.float_val."""
        for number in (2, 3, PACKED_FIELDS[spec.dtype]):
            fields = [body for found, body in self._fields(start, end) if found == number]
            if not fields and not spec.elements:
                return start, start
            if len(fields) != 1:
                raise FormatError("its data is malformed")
            start, end = fields[0]
        return start, end

    def _fields(self, start: int, end: int) -> Iterator[tuple[int, tuple[int, int]]]:
        """Walk a protobuf message without reading its contents; yield field numbers and ranges."""
        for _ in range(MOST_FIELDS):
            if start >= end:
                return
            head = self._file.at(start, min(20, end - start))
            tag, after = varint(head, 0)
            start += after
            if tag & 7 == 2:
                size, after_size = varint(head, after)
                start += after_size - after
            elif tag & 7 == 0:
                size = varint(head, after)[1] - after
            else:
                raise FormatError("its data is malformed")
            if start + size > end:
                raise FormatError("its data is malformed")
            yield tag >> 3, (start, start + size)
            start += size
        raise FormatError("its data is malformed")


def _one_of(names: list[str]) -> str:
    """Name the tensors of a block, which share a checksum."""
    if len(names) > 3:
        return f"one of {names[0]} to {names[-1]}"
    return " or ".join(names)


def _parsed(message: Bytes, spec: TensorSpec) -> npt.NDArray[Any]:
    """Return the array of a whole SavedTensorSlices message: integers, which are stored as varints."""
    import tensorflow as tf
    from google.protobuf.message import DecodeError
    from tensorflow.core.util.saved_tensor_slice_pb2 import SavedTensorSlices

    if spec.dtype == STRINGS:
        raise UnsupportedError("tensors of strings are not supported")
    if spec.elements > message.size:
        raise FormatError("it is shorter than its shape")
    try:
        proto = SavedTensorSlices.FromString(message.tobytes()).data.data
        proto.dtype = tf.dtypes.as_dtype(spec.dtype).as_datatype_enum
        proto.tensor_shape.CopyFrom(tf.TensorShape(spec.shape).as_proto())
        return np.asarray(tf.make_ndarray(proto))
    except (DecodeError, TypeError, ValueError) as error:
        raise FormatError("its data is malformed") from error
