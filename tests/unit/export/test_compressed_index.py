"""V2 indices that Snappy compressed, as TensorFlow inside Google writes them and TensorFlow reads them."""

from __future__ import annotations

import struct
from pathlib import Path

import google_crc32c
import numpy as np
import pytest
import tensorflow as tf
from slimserve.export.checkpoint.contents import open_checkpoint
from slimserve.export.checkpoint.formats.checked_file import CheckedFile, FormatError, masked_crc
from slimserve.export.checkpoint.formats.snappy import expanded
from slimserve.export.checkpoint.formats.sstable import FOOTER_SIZE, MAGIC, SNAPPY, Table
from slimserve.export.checkpoint.formats.sstable_writer import NO_RESTARTS, encode_varint

from tests.support.checkpoints import flip, refusal, small_tensors, tensorflow_v2


def compressed(data: bytes) -> bytes:
    """By Snappy's rules: copies of at least 4 bytes that were there before, and literals between them."""
    out, at, literal = encode_varint(len(data)), 0, b""

    def flushed() -> bytes:
        if not literal:
            return b""
        size = len(literal) - 1
        head = bytes([size << 2]) if size < 60 else bytes([61 << 2]) + struct.pack("<H", size)
        return head + literal

    while at < len(data):
        longest = next((n for n in range(64, 3, -1) if data.find(data[at : at + n], 0, at + n - 1) >= 0), 0)
        if longest and at + longest <= len(data):
            back = at - data.rfind(data[at : at + longest], 0, at + longest - 1)
            out += flushed()
            literal = b""
            if longest < 12 and back < 2048:
                out += bytes([back >> 8 << 5 | (longest - 4) << 2 | 1, back & 255])
            else:
                out += bytes([(longest - 1) << 2 | 2]) + struct.pack("<H", back)
            at += longest
        else:
            literal += data[at : at + 1]
            at += 1
    return out + flushed()


def compress_index(index: Path) -> None:
    """Write it again as one compressed block."""
    entries = list(Table(CheckedFile(index)).items())
    written = b""

    def block(data: bytes, kind: int) -> bytes:
        nonlocal written
        handle = encode_varint(len(written)) + encode_varint(len(data))
        data += bytes([kind])
        written += data + struct.pack("<I", masked_crc(google_crc32c.value(data)))
        return handle

    def entry(key: bytes, value: bytes) -> bytes:
        return b"\0" + encode_varint(len(key)) + encode_varint(len(value)) + key + value

    held = block(compressed(b"".join(entry(*item) for item in entries) + NO_RESTARTS), SNAPPY)
    footer = block(NO_RESTARTS, 0) + block(entry(entries[-1][0] + b"~", held) + NO_RESTARTS, 0)
    index.write_bytes(written + footer.ljust(FOOTER_SIZE - 8, b"\0") + struct.pack("<Q", MAGIC))


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    prefix = tensorflow_v2(tmp_path / "model.ckpt", small_tensors())
    compress_index(tmp_path / "model.ckpt.index")
    return prefix


@pytest.mark.parametrize("given", ["model.ckpt", "model.ckpt.index"])
def test_a_compressed_index_is_read_as_tensorflow_reads_it(prefix: Path, given: str) -> None:
    expected = tf.train.load_checkpoint(str(prefix))
    with open_checkpoint(prefix.with_name(given)) as checkpoint:
        assert checkpoint.tensors.keys() == expected.get_variable_to_shape_map().keys()
        for name, value in checkpoint.read_all(checkpoint.tensors):
            np.testing.assert_array_equal(value, expected.get_tensor(name))


@pytest.mark.parametrize("place", [0, 5, 40])
def test_a_flipped_bit_in_it_is_damage(prefix: Path, place: int) -> None:
    flip(prefix.with_name("model.ckpt.index"), place)
    assert "is damaged" in refusal(prefix)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\x08abc", b"abc"),
        (b"\x00a\x19\x01", b"a" * 11),  # overlaps what it makes
        (b"\xf0\x3b" + b"x" * 60, b"x" * 60),
        (b"\x08abc\x0b\x03\0\0\0", b"abcabc"),  # four bytes of distance
    ],
)
def test_snappy_is_expanded(data: bytes, expected: bytes) -> None:
    assert expanded(data, 0, len(expected)) == expected


@pytest.mark.parametrize(
    "data",
    [b"\x08ab", b"\x19\x01", b"\x08abc\x19\x04", b"\x08abc\x19\x00", b"\x08abc\x08abc", b"\xfc\xff\xff\xff"],
)
def test_what_snappy_never_writes_is_damage(data: bytes) -> None:
    with pytest.raises(FormatError, match="malformed"):
        expanded(data, 0, 12)
