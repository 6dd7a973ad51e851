"""The protobuf wire format, as far as bulk encoding of numbers needs it.

Building a repeated field of four million varints element by element costs most of a second; numpy makes the
same bytes in a few milliseconds. Source: https://protobuf.dev/programming-guides/encoding/
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Chunk = bytes | memoryview
_LENGTH_DELIMITED = 2
_VALUES_AT_ONCE = 1 << 20


def varint(value: int) -> bytes:
    """One non-negative integer as a varint."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number: int, chunks: Sequence[Chunk]) -> list[Chunk]:
    """A length-delimited field (bytes, a message or a packed repeated scalar), its payload in `chunks`."""
    size = sum(len(chunk) for chunk in chunks)
    return [varint(number << 3 | _LENGTH_DELIMITED) + varint(size), *chunks]


def packed_varints(values: npt.NDArray[Any]) -> list[Chunk]:
    """The payload of a packed field of varints.

    `values` is a flat array of any integer dtype or bool. Negative numbers take ten bytes, as int32, int64
    and enum fields store them.
    """
    starts = range(0, len(values), _VALUES_AT_ONCE)
    return [_packed(values[start : start + _VALUES_AT_ONCE]) for start in starts]


def _packed(values: npt.NDArray[Any]) -> bytes:
    if values.dtype.kind == "i":
        # Sign extension to 64 bits makes a negative number the ten bytes that the format asks for.
        values = values.astype(np.int64).view(np.uint64)
    largest = int(values.max())
    if largest < 0x80:
        return values.astype(np.uint8).tobytes()
    width = (largest.bit_length() + 6) // 7
    groups = np.empty((len(values), width), np.uint8)
    used = np.empty((len(values), width), np.bool_)
    rest = values
    used[:, 0] = True
    for column in range(width):
        groups[:, column] = rest & 0x7F
        rest = rest >> 7
        if column + 1 < width:
            more = rest != 0
            used[:, column + 1] = more
            groups[:, column] |= more.astype(np.uint8) << 7
    return groups[used].tobytes()
