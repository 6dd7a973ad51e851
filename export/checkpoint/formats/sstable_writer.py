"""Write table files (see sstable.py), large values in steps."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import IO

import google_crc32c

from .checked_file import CHUNK, masked_crc
from .sstable import FOOTER_SIZE, MAGIC

NO_RESTARTS = struct.pack("<II", 0, 1)  # one restart point, at the block's start


def encode_varint(value: int) -> bytes:
    """Encode a number of 0 or more as a base-128 varint."""
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


class TableWriter:
    """Writes a table, one entry to a block; keys are to be added in ascending order."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._position = 0
        self._index = bytearray()

    def add(self, key: bytes, value: Sequence[bytes], progress: Callable[[int], None] | None = None) -> None:
        """Add a value given in pieces, which may be flat uint8 arrays; `progress` gets each step's bytes."""
        size = sum(len(piece) for piece in value)
        handle = self._block([_entry(key, size), *value, NO_RESTARTS], progress)
        self._index += _entry(key, len(handle)) + handle

    def finish(self) -> None:
        """Write the index and the footer."""
        footer = self._block([NO_RESTARTS]) + self._block([bytes(self._index), NO_RESTARTS])
        self._stream.write(footer.ljust(FOOTER_SIZE - 8, b"\0") + struct.pack("<Q", MAGIC))

    def _block(self, pieces: Sequence[bytes], progress: Callable[[int], None] | None = None) -> bytes:
        """Write a block without compression and return its handle."""
        start, crc = self._position, 0
        for piece in [*pieces, b"\0"]:
            for offset in range(0, len(piece), CHUNK):
                step = piece[offset : offset + CHUNK]
                crc = google_crc32c.extend(crc, step)
                self._stream.write(step)
                if progress:
                    progress(len(step))
            self._position += len(piece)
        self._stream.write(struct.pack("<I", masked_crc(crc)))
        self._position += 4
        return encode_varint(start) + encode_varint(self._position - 5 - start)


def _entry(key: bytes, size: int) -> bytes:
    return b"\0" + encode_varint(len(key)) + encode_varint(size) + key
