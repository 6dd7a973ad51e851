"""The slices that a checkpoint keeps a tensor in, as it keeps partitioned variables, and the keys it finds them by.

The key is that of EncodeTensorNameSlice in tensorflow/core/util/saved_tensor_slice_util.cc, whose numbers and strings
are those of tensorflow/core/lib/strings/ordered_code.cc. A tensor in one piece is one slice without bounds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .checked_file import FormatError

MOST_SLICES = 1024  # of one tensor; partitioners make tens


class Piece(NamedTuple):
    """A box of a tensor."""

    key: bytes  # under which the checkpoint has it
    start: tuple[int, ...]  # its first index along each axis
    shape: tuple[int, ...]  # of it

    def of(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the view of the whole tensor that this piece fills."""
        box: list[Any] = [slice(at, at + size) for at, size in zip(self.start, self.shape, strict=True)]
        return np.asarray(array[(*box, ...)])  # ... for a view even of a scalar


def pieces_of(name: str, shape: tuple[int, ...], slices: Sequence[Any]) -> list[Piece]:
    """Return the pieces that TensorSliceProtos state.

    Raises:
        FormatError: one of them lies outside the tensor, or there are absurdly many.
    """
    if len(slices) > MOST_SLICES:
        raise FormatError(f"it has more than {MOST_SLICES:,} slices")
    return [_piece(name, shape, proto.extent) for proto in slices]


def _piece(name: str, shape: tuple[int, ...], extents: Sequence[Any]) -> Piece:
    if len(extents) != len(shape):
        raise FormatError("its slices are malformed")
    bounds = [(e.start, e.length) if e.HasField("length") else (0, -1) for e in extents]
    start = tuple(first for first, _ in bounds)
    sizes = tuple(size if length == -1 else length for (_, length), size in zip(bounds, shape, strict=True))
    if any(at < 0 or size < 0 or at + size > end for at, size, end in zip(start, sizes, shape, strict=True)):
        raise FormatError("its slices lie outside of it")
    return Piece(_key(name, bounds), start, sizes)


def require_whole(shape: tuple[int, ...], pieces: Sequence[Piece]) -> None:
    """Raise FormatError unless the pieces cover a tensor of that shape, each element once."""
    if len(pieces) > MOST_SLICES:
        raise FormatError(f"it has more than {MOST_SLICES:,} slices")
    covered = sum(math.prod(piece.shape) for piece in pieces)
    if not pieces or covered < math.prod(shape):
        raise FormatError("some of its slices are missing")
    start = np.array([piece.start for piece in pieces], np.int64).reshape(len(pieces), -1)
    end = start + np.array([piece.shape for piece in pieces], np.int64).reshape(len(pieces), -1)
    meet = np.triu(np.ones((len(pieces), len(pieces)), np.bool_), 1)
    for axis in range(len(shape)):
        meet &= (start[:, None, axis] < end[None, :, axis]) & (start[None, :, axis] < end[:, None, axis])
    if covered > math.prod(shape) or meet.any():
        raise FormatError("its slices overlap")


def tensor_key(name: str, rank: int) -> bytes:
    """Return the key of a tensor in one piece."""
    return _key(name, [(0, -1)] * rank)


def _key(name: str, bounds: Sequence[tuple[int, int]]) -> bytes:
    """Return 0, the name, the rank, then start and length along each axis, 0 and -1 for all of it."""
    text = name.encode().replace(b"\xff", b"\xff\x00").replace(b"\x00", b"\x00\xff")
    rank = bytes([1, len(bounds)]) if bounds else b"\x00"
    return b"\x00" + text + b"\x00\x01" + rank + b"".join(_number(n) for pair in bounds for n in pair)


def _number(value: int) -> bytes:
    """Return a signed number so that bytes sort as numbers do: as many leading ones as bytes, then 7 bits of each."""
    length = (~value if value < 0 else value).bit_length() // 7 + 1
    ones = ((1 << length) - 1) << (7 * length)
    return ((value & ((1 << 8 * length) - 1)) ^ ones).to_bytes(length, "big")
