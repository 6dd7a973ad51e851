"""Expand what Snappy compressed: blocks of some tables (Snappy's format_description.txt)."""

from __future__ import annotations

from .checked_file import FormatError


def expanded(data: bytes, at: int, length: int) -> bytes:
    """Return the `length` bytes that `data` stands for from `at`, which is behind the number that says the length.

    Raises:
        FormatError: malformed.
    """
    out = bytearray()
    while at < len(data) and len(out) <= length:
        kind, high = data[at] & 3, data[at] >> 2
        at += 1
        if kind == 0:  # a literal; a size of more than 60 stands in the next bytes
            more = max(high - 59, 0)
            size = 1 + (int.from_bytes(data[at : at + more], "little") if more else high)
            at += more + size
            out += data[at - size : at]
            continue
        wide = (0, 1, 2, 4)[kind]
        size, back = (4 + (high & 7), high >> 3 << 8) if kind == 1 else (1 + high, 0)
        back |= int.from_bytes(data[at : at + wide], "little")
        at += wide
        if not 0 < back <= len(out):
            raise FormatError("a block of it is malformed")
        start = len(out) - back
        piece = bytes(out[start : start + size])
        out += (piece * (size // len(piece) + 1))[:size]  # it may overlap what it makes
    if at != len(data) or len(out) != length:
        raise FormatError("a block of it is malformed")
    return bytes(out)
