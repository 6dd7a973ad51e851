"""Packed varints to numpy arrays, a block at a time instead of a value at a time.

The encoding is protobuf's (https://protobuf.dev/programming-guides/encoding/): seven bits a byte, least
significant group first, the top bit set on every byte but a value's last, at most ten bytes a value.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

_BLOCK = 1 << 16  # bytes a step: the temporaries stay in the processor's cache, and memory is bounded
_LONGEST = 10  # bytes of the longest varint
_WORDS = tuple(np.dtype(code) for code in ("<u2", "<u4", "<u8"))
_ALL = {word: (1 << 8 * word.itemsize) - 1 for word in _WORDS}
# Pairs of neighbouring groups, of 7, 14 and 28 bits: the lower stays, the higher moves down over the gap.
_GROUPS = (
    (0x007F007F007F007F, 0x7F007F007F007F00, 1),
    (0x00003FFF00003FFF, 0x3FFF00003FFF0000, 2),
    (0x000000000FFFFFFF, 0x0FFFFFFF00000000, 4),
)


class VarintError(ValueError):
    """The bytes are not a sequence of varints."""


def read_one(data: bytes, at: int, longest: int = _LONGEST) -> tuple[int, int]:
    """Read the varint at a position, of up to so many bytes: its value and the position after it.

    Raises VarintError for a longer one, and for one that is cut off.
    """
    value = 0
    for place, byte in enumerate(data[at : at + longest]):
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, at + place + 1
    raise VarintError(f"a value is longer than {longest} bytes, or cut off")


def count(data: bytes | memoryview) -> int:
    """Count the values in `data` without decoding them.

    Raises VarintError when the last value is cut off.
    """
    if not data:
        return 0
    if data[-1] & 0x80:
        raise VarintError("the last value is cut off")
    return int(np.count_nonzero(np.frombuffer(data, np.int8) >= 0))


def decode_into(data: bytes | memoryview, out: npt.NDArray[Any]) -> None:
    """Decode the varints in `data` into the one-dimensional `out`, which has room for exactly `count(data)`.

    A value too large for `out`'s integer dtype keeps its low bits, which is how protobuf reads int32 and how
    TensorFlow narrows `int_val`; any non-zero value is True where `out` is bool.

    Raises VarintError for a value longer than ten bytes.
    """
    encoded = np.frombuffer(data, np.uint8)
    if len(encoded) == len(out):  # every value fits its one byte
        _store(encoded, out)
        return
    block = np.zeros(_BLOCK + 8, np.uint8)  # the windows of the last values reach beyond the data
    start = filled = 0
    while start < len(encoded):
        piece = encoded[start : start + _BLOCK]
        lasts = np.flatnonzero(piece < 0x80)
        if not len(lasts):
            raise VarintError(f"a value is longer than {_LONGEST} bytes")
        block[: len(piece)] = piece
        values = _decode_block(block, lasts)
        _store(values, out[filled : filled + len(values)])
        start, filled = start + int(lasts[-1]) + 1, filled + len(values)


def _store(values: npt.NDArray[Any], out: npt.NDArray[Any]) -> None:
    if out.dtype == np.bool_:
        np.not_equal(values, 0, out=out)
    else:
        np.copyto(out, values, casting="unsafe")


def _decode_block(block: npt.NDArray[np.uint8], lasts: npt.NDArray[np.intp]) -> npt.NDArray[Any]:
    """Decode the varints that end at `lasts`: each is read as one little-endian word from its first byte."""
    firsts = np.empty_like(lasts)
    firsts[0] = 0
    np.add(lasts[:-1], 1, out=firsts[1:])
    longest = int((lasts - firsts).max()) + 1
    if longest > _LONGEST:
        raise VarintError(f"a value is longer than {_LONGEST} bytes")
    word = next((word for word in _WORDS if word.itemsize >= longest), _WORDS[-1])
    windows = np.ndarray((len(block) - word.itemsize + 1,), word, block, strides=(1,))
    values = _join_groups(windows.take(firsts))
    if longest > word.itemsize:  # bits 56 to 63 of a 64-bit value stand in its ninth and tenth byte
        for back in (8, 9):
            longer = np.flatnonzero(lasts - firsts >= back)
            bits = block[firsts[longer] + back].astype(np.uint64) & np.uint64(0x7F)
            values[longer] |= bits << np.uint64(7 * back)
    return values


def _join_groups(words: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Cut each little-endian word after its first varint and close the gaps between the seven-bit groups."""
    word = words.dtype.type
    ends = ~words & word(0x8080808080808080 & _ALL[words.dtype])
    ends &= np.negative(ends)  # the lowest: the top bit of the varint's last byte
    words = words & (ends << word(1)) - word(1)
    for width in range(words.itemsize.bit_length() - 1):
        low, high, shift = (bits & _ALL[words.dtype] for bits in _GROUPS[width])
        words = words & word(low) | (words & word(high)) >> word(shift)
    return words
