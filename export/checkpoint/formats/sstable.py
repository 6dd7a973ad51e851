"""Table files: sorted keys and values in checksummed blocks, the container of both checkpoint formats.

The format is LevelDB's (doc/table_format.md there). Checkpoints are never compressed, and compressed blocks
are refused. Nothing is believed before it is checked: offsets stay inside the file, counts and sizes of
metadata below the limits here, so that memory and time follow the file's size.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from .checked_file import CheckedFile, FormatError, Target, UnsupportedError, masked_crc
from .snappy import expanded

MAGIC = 0xDB4775248B80FB57
FOOTER_SIZE = 48
TRAILER_SIZE = 5  # one byte of compression type, four of checksum
SNAPPY = 1  # a type of compression; TensorFlow inside Google compresses V2 indices with it
LARGEST_METADATA = 16 << 20  # bytes of an index block, a V2 index file or V1 metadata
LONGEST_KEY = 4096
MOST_ENTRIES = 100_000


class Handle(NamedTuple):
    """Where a block lies, in bytes, without its trailer."""

    offset: int
    size: int


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Decode the base-128 varint of up to 64 bits at `at`; return it and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        value |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return value, at
    raise FormatError("a number in it is malformed")


def has_footer(file: CheckedFile) -> bool:
    """Tell whether the file ends as a table does."""
    return file.size >= FOOTER_SIZE and file.at(file.size - 8, 8) == struct.pack("<Q", MAGIC)


class Table:
    """An open table; its index is read and checked, its blocks are not yet.

    Raises:
        FormatError: the footer or the index is damaged.
    """

    def __init__(self, file: CheckedFile) -> None:
        if not has_footer(file):
            raise FormatError("its end is missing")
        self._file = file
        footer = file.at(file.size - FOOTER_SIZE, FOOTER_SIZE)
        _, after_meta_index = _handle(footer, 0)
        index, _ = _handle(footer, after_meta_index)
        self._last_keys: list[bytes] = []
        self._blocks: list[Handle] = []
        for key, value in _items(self._contents(index)):
            self._last_keys.append(key)
            self._blocks.append(_handle(value, 0)[0])

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield all keys and values, checked; for tables of metadata only.

        Raises:
            FormatError: damaged, or larger than metadata can be.
        """
        if sum(handle.size for handle in self._blocks) > min(self._file.size, LARGEST_METADATA):
            raise FormatError("its index is absurdly large")
        count = size = 0
        for handle in self._blocks:
            data = self._contents(handle)
            size += len(data)
            if size > LARGEST_METADATA:
                raise FormatError("its index is absurdly large")
            for item in _items(data):
                count += 1
                if count > MOST_ENTRIES:
                    raise FormatError(f"it has more than {MOST_ENTRIES:,} entries")
                yield item

    def block_of(self, key: bytes) -> Handle:
        """Return the only block that can hold `key`."""
        position = bisect_left(self._last_keys, key)
        if position == len(self._blocks):
            raise FormatError("it is not in the file's index")
        return self._blocks[position]

    def entries(self, block: Handle) -> Iterator[tuple[bytes, int, int]]:
        """Yield (key, offset in the file, size) of each value in a block; not checked yet."""
        return _entries(self._file.at, block.offset, block.offset + block.size)

    def value(self, key: bytes) -> bytes:
        """Return one small value, checked."""
        block = self.block_of(key)
        if self._file.at(block.offset + block.size, 1)[0] == SNAPPY:
            for found, value in _items(self._contents(block)):
                if found == key:
                    return value
            raise FormatError("its metadata is missing")
        for found, offset, size in self.entries(block):
            if found == key:
                if size > LARGEST_METADATA:
                    raise FormatError("its metadata is absurdly large")
                into = np.empty(size, np.uint8)
                self.read_block(block, [Target.array(offset, into)])
                return into.tobytes()
        raise FormatError("its metadata is missing")

    def read_block(
        self,
        block: Handle,
        targets: Iterable[Target] = (),
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """Read a block once, its parts into `targets` (see CheckedFile.fill), and check it.

        Raises:
            FormatError: the checksum does not match.
            UnsupportedError: the block is compressed.
        """
        if self._checked(block, targets, progress):
            raise UnsupportedError("it is compressed, which tf.train.Saver never does: save it again")

    def _checked(
        self, block: Handle, targets: Iterable[Target], progress: Callable[[int], None] | None = None
    ) -> int:
        """Read a block, check it, and return its type of compression, 0 for none."""
        end = block.offset + block.size
        crc = self._file.fill(block.offset, end + 1, targets, progress)
        kind, stored = struct.unpack("<BI", self._file.at(end, TRAILER_SIZE))
        if stored != masked_crc(crc):
            raise FormatError("its checksum does not match")
        return int(kind)

    def _contents(self, block: Handle) -> bytes:
        """Return a block of metadata, expanded."""
        if block.size > LARGEST_METADATA:
            raise FormatError("its index is absurdly large")
        into = np.empty(min(block.size, self._file.size), np.uint8)
        kind, data = self._checked(block, [Target.array(block.offset, into)]), into.tobytes()
        if kind not in (0, SNAPPY):
            raise UnsupportedError("it is compressed in a way that TensorFlow does not know: save it again")
        if kind == SNAPPY:
            length, at = varint(data, 0)
            if length > LARGEST_METADATA:
                raise FormatError("its index is absurdly large")
            data = expanded(data, at, length)
        return data


def _items(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    for key, offset, size in _entries(lambda at, size: data[at : at + size], 0, len(data)):
        yield key, data[offset : offset + size]


def _handle(data: bytes, at: int) -> tuple[Handle, int]:
    offset, at = varint(data, at)
    size, at = varint(data, at)
    return Handle(offset, size), at


def _entries(at: Callable[[int, int], bytes], start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Walk a block: entries that share a prefix with the key before, restart points, the number of those."""
    if end - start < 4:
        raise FormatError("a block of it is too short")
    (restarts,) = struct.unpack("<I", at(end - 4, 4))
    end -= 4 + 4 * restarts
    key, position, count = b"", start, 0
    while position < end:
        head = at(position, min(30, end - position))
        shared, after = varint(head, 0)
        unshared, after = varint(head, after)
        size, after = varint(head, after)
        position += after + unshared
        count += 1
        if count > MOST_ENTRIES:
            raise FormatError(f"it has more than {MOST_ENTRIES:,} entries")
        if shared > len(key) or shared + unshared > LONGEST_KEY or position + size > end:
            raise FormatError("a block of it is malformed")
        key = key[:shared] + at(position - unshared, unshared)
        yield key, position, size
        position += size
