"""Packed varints against protobuf's own parser."""

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from slimserve.wire import varint
from slimserve.wire.protocol import TensorProto


def encode(value: int, padding: int = 0) -> bytes:
    """A varint, with that many bytes more than it needs."""
    groups = []
    while value > 0x7F:
        groups.append(value & 0x7F)
        value >>= 7
    groups += [value, *[0] * padding]
    return bytes(group | 0x80 for group in groups[:-1]) + bytes(groups[-1:])


def decode(data: bytes, dtype: str) -> np.ndarray:
    out = np.empty(varint.count(data), dtype)
    varint.decode_into(data, out)
    return out


def official(data: bytes, field: str, number: int) -> list[int]:
    """What protobuf reads from a packed field of those bytes."""
    return list(getattr(TensorProto.FromString(encode(number << 3 | 2) + encode(len(data)) + data), field))


values = st.integers(0, 63).flatmap(lambda bits: st.integers(0, 2 ** (bits + 1) - 1))
padded = st.builds(encode, values, st.sampled_from([0, 0, 0, 1, 3])).filter(lambda data: len(data) <= 10)
packed = st.lists(padded, max_size=60).map(b"".join)


@given(packed)
def test_64_bit_values_are_those_of_protobuf(data: bytes) -> None:
    assert decode(data, "<u8").tolist() == official(data, "uint64_val", 17)
    assert decode(data, "<i8").tolist() == official(data, "int64_val", 10)


@given(packed)
def test_32_bit_values_keep_the_low_bits_as_in_protobuf(data: bytes) -> None:
    assert decode(data, "<i4").tolist() == official(data, "int_val", 7)
    assert decode(data, "<u4").tolist() == official(data, "uint32_val", 16)


@given(packed)
def test_any_value_but_zero_is_true_as_in_protobuf(data: bytes) -> None:
    assert decode(data, "?").tolist() == official(data, "bool_val", 11)


@pytest.mark.parametrize("largest", [1 << 7, 1 << 10, 1 << 16, 1 << 31, 1 << 63])
def test_a_long_sequence_is_decoded_across_blocks(largest: int) -> None:
    expected = np.random.default_rng(largest % 1009).integers(0, largest, 150_000, np.uint64)
    body = b"".join(encode(int(value)) for value in expected)
    assert TensorProto(uint64_val=expected.tolist()).SerializeToString().endswith(body)
    assert (decode(body, "<u8") == expected).all()


def test_negative_values_take_ten_bytes() -> None:
    expected = np.arange(-20_000, 20_000, dtype=np.int32)
    body = b"".join(encode(int(value) & 0xFFFFFFFFFFFFFFFF) for value in expected)
    assert (decode(body, "<i4") == expected).all()
    assert (decode(body, "<i2") == expected.astype("<i2")).all()


@pytest.mark.parametrize(
    "data", [b"\x80" * 10 + b"\x01", b"\x01" + b"\xff" * 11 + b"\x01", b"\x80" * 200_000 + b"\x01"]
)
def test_a_value_longer_than_ten_bytes_is_refused(data: bytes) -> None:
    with pytest.raises(varint.VarintError, match="longer than 10 bytes"):
        decode(data, "<u8")


def test_a_value_that_is_cut_off_is_refused() -> None:
    with pytest.raises(varint.VarintError, match="cut off"):
        varint.count(b"\x01\x80")


@given(st.lists(st.binary(max_size=12), max_size=8).map(b"".join))
def test_any_bytes_are_read_or_refused_as_by_protobuf(data: bytes) -> None:
    try:
        expected = official(data, "uint64_val", 17)
    except DecodeError:
        with pytest.raises(varint.VarintError):
            decode(data, "<u8")
    else:
        assert decode(data, "<u8").tolist() == expected
