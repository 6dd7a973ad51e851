"""Write a tensor bundle: the V2 checkpoint format, and that of a SavedModel's variables.

The format is that of tensorflow/core/util/tensor_bundle and tensor_bundle.proto: a data file with the tensors' bytes,
and a table of name to shape, dtype, place and checksum.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import IO, Any

import google_crc32c
import numpy.typing as npt

from ..checkpoint.formats.checked_file import Bytes, Sink, as_bytes, masked_crc, pieces
from ..checkpoint.formats.sstable_writer import TableWriter
from ..checkpoint.formats.tensor_spec import TensorSpec


class BundleWriter:
    """Writes tensors one after the other in any order; none is kept."""

    def __init__(self, data: IO[bytes], progress: Callable[[int], None] = lambda size: None) -> None:
        """Write the tensors' bytes to `data`; `progress` gets the size of each step."""
        self._data = data
        self._progress = progress
        self._position = 0
        self._entries: dict[bytes, bytes] = {}

    def add(self, name: str, array: npt.NDArray[Any]) -> None:
        """Write one tensor, little-endian and contiguous."""
        sink = self.sink(name, TensorSpec(array.shape, array.dtype))
        for piece in pieces(as_bytes(array)):
            sink(piece)

    def sink(self, name: str, spec: TensorSpec) -> Sink:
        """Return what takes the bytes of one tensor; no other may come between them."""
        crc, left = 0, spec.nbytes

        def take(piece: Bytes) -> None:
            nonlocal crc, left
            crc = google_crc32c.extend(crc, piece)
            self._data.write(piece.data)
            self._progress(piece.size)
            left -= piece.size
            if not left:
                self._enter(name, spec, crc)

        if not left:
            self._enter(name, spec, crc)
        return take

    def _enter(self, name: str, spec: TensorSpec, crc: int) -> None:
        """Note a tensor of which everything has been written."""
        import tensorflow as tf
        from tensorflow.core.protobuf.tensor_bundle_pb2 import BundleEntryProto

        entry = BundleEntryProto(
            dtype=tf.dtypes.as_dtype(spec.dtype).as_datatype_enum,
            shape=tf.TensorShape(spec.shape).as_proto(),
            offset=self._position,
            size=spec.nbytes,
            crc32c=masked_crc(crc),
        )
        self._entries[name.encode()] = entry.SerializeToString()
        self._position += spec.nbytes

    def write_index(self, index: IO[bytes]) -> None:
        """Write the table of what was added."""
        from tensorflow.core.protobuf.tensor_bundle_pb2 import BundleHeaderProto

        header = BundleHeaderProto(num_shards=1)
        header.version.producer = 1
        table = TableWriter(index)
        table.add(b"", [header.SerializeToString()])
        for key, entry in sorted(self._entries.items()):
            table.add(key, [entry])
        table.finish()
