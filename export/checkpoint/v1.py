"""V1 checkpoints: one table, with a message of names, shapes and types, then a SavedTensorSlices per tensor.

The messages are tensorflow/core/util/saved_tensor_slice.proto; saved_tensor_slice_util.cc there makes the keys.
Floats lie packed in the message and are read straight into the array; protobuf would hold them three times.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .checked_file import Bytes, CheckedFile, FormatError, Sink, Target, UnsupportedError, as_bytes, naming
from .sstable import Handle, Table, varint
from .tensor_spec import STRINGS, TensorSpec, tensor_spec

MOST_FIELDS = 16  # of one message; a saved tensor has three
PACKED_FIELDS = {np.dtype("<f4"): 5, np.dtype("<f8"): 6}  # TensorProto.float_val, .double_val


def tensor_key(name: str, rank: int) -> bytes:
    """Return the key of a whole tensor: 0, its name, its rank, and (0, to the end) for each dimension."""
    text = name.encode().replace(b"\xff", b"\xff\x00").replace(b"\x00", b"\x00\xff")
    return b"\x00" + text + b"\x00\x01" + (bytes([1, rank]) if rank else b"\x00") + b"\x80\x7f" * rank


class V1File:
    """An open V1 checkpoint.

    Attributes:
        tensors: what is in it.
        files: the file.

    Raises:
        FormatError: damaged, or it claims more than the file can hold.
    """

    def __init__(self, path: Path) -> None:
        self.files = [path]
        self._file = CheckedFile(path)
        try:
            self._table = Table(self._file)
            self.tensors, self._sliced = _contents(self._table.value(b""))
            # Every number takes at least a byte of the file, a float all of its bytes.
            least = sum(
                spec.nbytes if spec.dtype in PACKED_FIELDS else spec.elements
                for spec in self.tensors.values()
            )
            if least > self._file.size:
                raise FormatError(f"it claims {least:,} bytes of tensors in a file of {self._file.size:,}")
        except FormatError:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def read(
        self, names: Iterable[str], progress: Callable[[int], None] | None, sinks: Mapping[str, Sink]
    ) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        """Yield the named tensors in the file's order, but for those that go to `sinks`, which are of floats.

        `progress` gets each step's bytes.

        Raises:
            FormatError: a tensor is damaged; its name is in the error's `tensor`.
        """
        blocks: dict[Handle, list[str]] = defaultdict(list)
        for name in sorted(names):
            with naming(name):
                if name in self._sliced:
                    raise UnsupportedError("it is stored in slices: save it unpartitioned")
                blocks[self._table.block_of(self._key(name))].append(name)
        for block in sorted(blocks):
            with naming(_one_of(blocks[block])):
                arrays = self._read_block(block, blocks[block], progress, sinks)
            while arrays:
                yield arrays.popitem()

    def _key(self, name: str) -> bytes:
        return tensor_key(name, len(self.tensors[name].shape))

    def _read_block(
        self,
        block: Handle,
        names: list[str],
        progress: Callable[[int], None] | None,
        sinks: Mapping[str, Sink],
    ) -> Any:
        keys = {self._key(name): name for name in names}
        places = {
            keys[key]: (offset, size) for key, offset, size in self._table.entries(block) if key in keys
        }
        arrays: dict[str, npt.NDArray[Any]] = {}
        targets: list[Target] = []
        for name in reversed(names):
            spec = self.tensors[name]
            with naming(name):
                if name not in places:
                    raise FormatError("its data is missing")
                offset, size = places[name]
                if spec.dtype in PACKED_FIELDS:
                    start, stop = self._packed(spec, offset, offset + size)
                    if stop - start != spec.nbytes:
                        raise FormatError(f"it has {stop - start:,} bytes of data instead of {spec.nbytes:,}")
                    if name in sinks:
                        targets.append(Target.sink(start, spec.nbytes, sinks[name]))
                        continue
                    arrays[name] = spec.empty()
                else:
                    start, arrays[name] = offset, np.empty(size, np.uint8)
            targets.append(Target.array(start, as_bytes(arrays[name])))
        self._table.read_block(block, targets, progress)
        return {
            name: array if self.tensors[name].dtype in PACKED_FIELDS else _parsed(array, self.tensors[name])
            for name, array in arrays.items()
        }

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


def _contents(metadata: bytes) -> tuple[dict[str, TensorSpec], set[str]]:
    """Return the tensors, and the names of those stored in slices, from the SavedTensorSlices message."""
    from google.protobuf.message import DecodeError
    from tensorflow.core.util.saved_tensor_slice_pb2 import SavedTensorSlices

    try:
        saved = SavedTensorSlices.FromString(metadata).meta.tensor
    except DecodeError as error:
        raise FormatError("its metadata is malformed") from error
    tensors: dict[str, TensorSpec] = {}
    sliced = set()
    for tensor in saved:
        with naming(tensor.name):
            if tensor.name in tensors:
                raise FormatError("it is listed twice")
            tensors[tensor.name] = tensor_spec(tensor.shape, tensor.type)
        if len(tensor.slice) != 1 or any(extent.HasField("length") for extent in tensor.slice[0].extent):
            sliced.add(tensor.name)
    return tensors, sliced


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
