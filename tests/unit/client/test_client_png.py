"""Grayscale PNG against Pillow and TensorFlow's own encoder."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image
from slimserve.images.png import PngError, decode_gray


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, rows: bytes, *rest: int, pieces: int = 1) -> bytes:
    packed = zlib.compress(rows)
    header = struct.pack(">IIBBBBB", width, height, depth, *(rest or (0, 0, 0, 0)))
    size = -(-len(packed) // pieces)
    data = b"".join(chunk(b"IDAT", packed[start : start + size]) for start in range(0, len(packed), size))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"tEXt", b"Title\0x")
        + data
        + chunk(b"IEND", b"")
    )


def decode_alone(data: bytes) -> np.ndarray:
    """As where Pillow is not installed."""
    with mock.patch("slimserve.images.pillow.is_there", return_value=False):
        return decode_gray(data)


both = pytest.mark.parametrize("decode", [decode_gray, decode_alone], ids=["with_pillow", "alone"])
Decode = Callable[[bytes], np.ndarray]


def pillow(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


@given(
    depth=st.sampled_from([8, 16]),
    raw=npst.arrays(np.uint8, npst.array_shapes(min_dims=2, max_dims=2, max_side=12)),
    filters=st.lists(st.integers(0, 4), min_size=12, max_size=12),
    sparse=st.booleans(),
    pieces=st.integers(1, 3),
)
def test_any_filters_over_any_bytes_decode_as_in_pillow(
    depth: int, raw: np.ndarray, filters: list[int], sparse: bool, pieces: int
) -> None:
    sample = depth // 8
    raw = np.repeat(raw, sample, axis=1)
    if sparse:  # mostly zeros, as the filters leave of a label map
        raw = np.where(raw < 200, 0, raw).astype(np.uint8)
    rows = b"".join(bytes([filters[row]]) + raw[row].tobytes() for row in range(len(raw)))
    data = png(raw.shape[1] // sample, len(raw), depth, rows, pieces=pieces)
    for decode in (decode_gray, decode_alone):
        array = decode(data)
        assert array.dtype == (np.uint8 if depth == 8 else np.uint16)
        assert array.flags.writeable
        assert array.flags.c_contiguous
        np.testing.assert_array_equal(array, pillow(data))


def regions(classes: int, dtype: type, seed: int) -> np.ndarray:
    """A label map [150,211] of overlapping discs, as a network might answer."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:150, :211]
    label_map = np.zeros((150, 211), dtype)
    for _ in range(25):
        y, x, radius = generator.integers(0, 150), generator.integers(0, 211), generator.integers(5, 60)
        label_map[(rows - y) ** 2 + (columns - x) ** 2 < radius**2] = generator.integers(0, classes)
    return label_map


@both
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("classes", "dtype"), [(8, np.uint8), (256, np.uint8), (1000, np.uint16), (65536, np.uint16)]
)
def test_a_label_map_comes_back_from_tensorflows_encoder(
    decode: Decode, classes: int, dtype: type, seed: int
) -> None:
    label_map = regions(classes, dtype, seed)
    np.testing.assert_array_equal(decode(tf.io.encode_png(label_map[..., None]).numpy()), label_map)


@both
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_noise_comes_back_from_tensorflows_encoder(decode: Decode, dtype: type) -> None:
    noise = np.random.default_rng(3).integers(0, np.iinfo(dtype).max, (40, 50), dtype, endpoint=True)
    np.testing.assert_array_equal(decode(tf.io.encode_png(noise[..., None]).numpy()), noise)


GOOD = png(2, 2, 8, b"\0\1\2\0\3\4")


@both
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a PNG"),
        (b"GIF89a", "not a PNG"),
        (GOOD[:8], "cut off"),
        (GOOD[:-14], "cut off"),
        (GOOD[:40], "cut off"),
        (GOOD[:8] + GOOD[33:], "header"),
        (GOOD.replace(b"\0\0\0\2\0\0\0\2", b"\0\0\0\3\0\0\0\2"), "checksum"),
        (png(2, 2, 4, b"\0\1\0\3"), "grayscale"),
        (png(2, 2, 8, b"\0" * 14, 2, 0, 0, 0), "grayscale"),
        (png(2, 2, 8, b"\0" * 6, 0, 0, 0, 1), "interlacing"),
        (png(0, 2, 8, b"\0\0"), "no pixels"),
        (png(2, 2, 8, b"\5\1\2\0\3\4"), "filter 5"),
        (png(2, 2, 8, b"\0\1\2\0\3"), "not as many"),
        (png(2, 2, 8, b"\0\1\2\0\3\4\0"), "not as many"),
        (GOOD[:33] + chunk(b"IDAT", b"junk") + chunk(b"IEND", b""), "cannot"),
    ],
)
def test_what_is_no_such_png_is_refused(decode: Decode, data: bytes, message: str) -> None:
    with pytest.raises(PngError, match=message):
        decode(data)


def test_a_wrong_checksum_of_the_pixels_is_refused() -> None:
    packed = zlib.compress(b"\0\1\2\0\3\4")
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 0))
    data = chunk(b"IDAT", packed[:-1] + bytes([packed[-1] ^ 1]))
    with pytest.raises(PngError, match="unpacked"):
        decode_gray(b"\x89PNG\r\n\x1a\n" + header + data + chunk(b"IEND", b""))


@pytest.mark.parametrize("size", [(60_000, 60_000), (1 << 31, 1 << 31), (20_000, 20_000)])
def test_a_header_that_promises_gigabytes_costs_no_memory(size: tuple[int, int]) -> None:
    data = png(*size, 8, bytes(100_000))
    tracemalloc.start()
    with pytest.raises(PngError, match="cannot hold"):
        decode_gray(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_a_flipped_bit_is_noticed_or_harmless(position: int, mask: int) -> None:
    damaged = bytearray(GOOD)
    damaged[position] ^= mask
    with pytest.raises(PngError):
        decode_gray(bytes(damaged))


PAETH = b"".join(b"\4" + row.tobytes() for row in np.random.default_rng(5).integers(0, 3, (9, 14), np.uint8))
SOUND = [png(7, 9, 16, PAETH), png(14, 9, 8, PAETH, pieces=3)]


@given(
    data=st.sampled_from(SOUND),
    changes=st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=3),
    repaired=st.booleans(),
    cut=st.integers(0, 20),
)
def test_what_is_damaged_is_refused_with_pillow_as_without(
    data: bytes, changes: list[tuple[int, int]], repaired: bool, cut: int
) -> None:
    """Bytes are changed, with the checksums put right again or not, and the end is cut off or not."""
    damaged = bytearray(data)
    for position, value in changes:
        damaged[position % len(damaged)] = value
    if repaired:
        damaged = bytearray(with_right_checksums(bytes(damaged)))
    given = bytes(damaged[: len(damaged) - cut])

    def outcome(decode: Decode) -> object:
        try:
            array = decode(given)
        except PngError as error:
            return str(error)
        return array.dtype, array.shape, array.tobytes()

    assert outcome(decode_gray) == outcome(decode_alone)


def with_right_checksums(data: bytes) -> bytes:
    """The same with the checksum that each chunk should have."""
    fixed, at = data[:8], 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        fixed += chunk(data[at + 4 : at + 8], data[at + 8 : at + 8 + length])
        at += 12 + length
    return fixed
