"""Grayscale PNG to an array and back, with numpy and zlib alone: label maps arrive as PNG where Pillow need not be.

Source: PNG specification, third edition: chunks (section 5), filters (section 9). Reads what TensorFlow writes for one
channel: 8 or 16 bit, not interlaced. What is refused is decided here; where Pillow is there, it undoes those filters
that Python does slowly.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from . import pillow

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MOST_BYTES = 1 << 31  # of unpacked rows
_BEST_RATIO = 1032  # deflate cannot unpack a byte to more
_NONE, _SUB, _UP, _AVERAGE, _PAETH = range(5)


class PngError(ValueError):
    """The bytes are not a grayscale PNG that this module reads."""


def decode_gray(png: bytes) -> npt.NDArray[Any]:
    """Decode a grayscale PNG of 8 or 16 bits to uint8 or uint16 [H,W].

    Sizes are checked before anything is unpacked, checksums on the way. Raises PngError.
    """
    chunks = _chunks(png)
    kind, header = next(chunks, (b"", b""))
    if kind != b"IHDR" or len(header) != 13:
        raise PngError("it does not begin with its header")
    width, height, depth, *rest = struct.unpack(">IIBBBBB", header)
    if depth not in (8, 16) or rest != [0, 0, 0, 0]:
        raise PngError("it is not 8- or 16-bit grayscale without interlacing")
    if not width or not height:
        raise PngError("it has no pixels")
    packed = b"".join(data for kind, data in chunks if kind == b"IDAT")
    sample = depth // 8
    size = height * (1 + width * sample)
    if size > min(_MOST_BYTES, _BEST_RATIO * (len(packed) + 1)):
        raise PngError(f"{len(packed)} bytes cannot hold {width}x{height} pixels")
    rows = np.frombuffer(_inflate(packed, size), np.uint8).reshape(height, -1)
    highest = int(rows[:, 0].max())
    if highest > _PAETH:
        raise PngError(f"it has a row of filter {highest}")
    if highest > _UP and pillow.is_there():
        return pillow.unfilter(_write(header, rows, level=0)).astype(f"u{sample}", copy=True)
    # The filters work on bytes, and bytes a sample apart: each byte of the samples is a plane of its own.
    planes = [_unfilter(rows[:, 0], rows[:, 1 + plane :: sample]) for plane in range(sample)]
    if sample == 1:
        return planes[0]
    return planes[0].astype(np.uint16) << 8 | planes[1]


def encode_gray(labels: npt.NDArray[Any]) -> bytes:
    """Write uint8 or uint16 [H,W] as a grayscale PNG, without filters."""
    height, width = labels.shape
    header = struct.pack(">IIBBBBB", width, height, 8 * labels.itemsize, 0, 0, 0, 0)
    samples = labels.astype(labels.dtype.newbyteorder(">")).view(np.uint8).reshape(height, -1)
    rows = np.zeros((height, 1 + samples.shape[1]), np.uint8)  # each begins with its filter, none
    rows[:, 1:] = samples
    return _write(header, rows, level=1)


def _write(header: bytes, rows: npt.NDArray[np.uint8], level: int) -> bytes:
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows.data, level)), (b"IEND", b"")]
    framed = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))
        for kind, data in chunks
    )
    return _SIGNATURE + b"".join(framed)


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Walk the chunks up to the end: kind and data of each."""
    if not png.startswith(_SIGNATURE):
        raise PngError("it is not a PNG")
    at, kind = len(_SIGNATURE), b""
    while kind != b"IEND":
        if at + 12 > len(png):
            raise PngError("it is cut off")
        length, kind = struct.unpack_from(">I4s", png, at)
        data, checksum = png[at + 8 : at + 8 + length], png[at + 8 + length : at + 12 + length]
        if len(checksum) != 4:
            raise PngError("it is cut off")
        if zlib.crc32(data, zlib.crc32(kind)) != int.from_bytes(checksum, "big"):
            raise PngError(f"the checksum of its {kind!r} chunk is wrong")
        yield kind, data
        at += 12 + length


def _inflate(packed: bytes, size: int) -> bytes:
    stream = zlib.decompressobj()
    try:
        rows = stream.decompress(packed, size)
        surplus = stream.decompress(stream.unconsumed_tail, 1)  # nothing, but it reads the checksum
    except zlib.error as error:
        raise PngError(f"its pixels cannot be unpacked: {error}") from error
    if len(rows) != size or surplus or not stream.eof:
        raise PngError("its pixels are not as many as its header says")
    return rows


def _unfilter(filters: npt.NDArray[np.uint8], plane: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Undo the filters, one a row (uint8 [H]), of one byte plane, uint8 [H,W]."""
    result = np.empty_like(plane, order="C")
    above = np.zeros(plane.shape[1], np.uint8)
    for filter_type, row, out in zip(filters.tolist(), plane, result, strict=True):
        if filter_type == _NONE:
            out[:] = row
        elif filter_type == _SUB:
            np.add.accumulate(row, dtype=np.uint8, out=out)
        elif filter_type == _UP:
            np.add(row, above, out=out)
        elif filter_type == _AVERAGE:
            out[:] = _undo_average(row.tolist(), above.tolist())
        else:
            _undo_paeth(row, above, out)
        above = out
    return result


def _undo_average(row: list[int], above: list[int]) -> list[int]:
    left, values = 0, []
    for delta, up in zip(row, above, strict=True):
        left = (delta + (left + up >> 1)) & 0xFF
        values.append(left)
    return values


def _undo_paeth(row: npt.NDArray[np.uint8], above: npt.NDArray[np.uint8], out: npt.NDArray[np.uint8]) -> None:
    """Undo the Paeth filter, visiting only the pixels where something happens.

    Where the delta is zero and the pixel above equals its left neighbour, the predictor is the pixel to the left:
    whole runs of a label map repeat the last value.
    """
    corners = np.empty_like(above)
    corners[0], corners[1:] = 0, above[:-1]
    eventful = (row != 0) | (above != corners)
    eventful[0] = True
    at = np.flatnonzero(eventful)
    left, values = 0, []
    for delta, up, corner in zip(row[at].tolist(), above[at].tolist(), corners[at].tolist(), strict=True):
        to_left, to_up, to_corner = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
        if to_up < to_left or to_corner < to_left:
            left = up if to_up <= to_corner else corner
        left = (delta + left) & 0xFF
        values.append(left)
    out[:] = np.repeat(np.array(values, np.uint8), np.diff(at, append=len(row)))
