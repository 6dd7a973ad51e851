"""The values of large tensors, taken out of a response before protobuf parses, and twice copies, the rest.

They stay where they arrived: what is taken out are views of the response. Anything that is not plainly a response
with large tensors in it, packed as servers pack, is left as it is, for protobuf to judge.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeAlias

from .encoding import frame
from .varint import VarintError, read_one

Lifted: TypeAlias = Mapping[int, list[memoryview]]  # records of a tensor by field number, in order

LARGE = 1 << 16  # bytes of a tensor's message
_MOST_RECORDS = 64  # in it; many strings are protobuf's business

_LONGEST = 5  # bytes of a tag or a length
_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5  # wire types
_OUTPUTS = 1  # field of PredictResponse
_KEY, _VALUE = 1, 2  # of a map's entry
_VALUES = {*range(4, 14), 16, 17}  # fields of TensorProto


class _Unusual(Exception):
    """This is not what servers send."""


class _Record(NamedTuple):
    """One field on the wire: where its tag begins, where its value begins and ends."""

    number: int
    wire_type: int
    tag: int
    start: int
    stop: int


def lift_large_values(data: bytes) -> tuple[bytes, dict[str, Lifted]]:
    """Take the values of large tensors out of a PredictResponse: the rest of it, and the values by output."""
    if len(data) < LARGE:
        return data, {}
    kept: list[bytes | memoryview] = []
    lifted: dict[str, Lifted] = {}
    keys: set[bytes] = set()
    try:
        for record in _records(data, 0, len(data)):
            if record.number == _OUTPUTS:
                key, tensor = _entry(data, record)
                if key in keys:  # the last one counts, as protobuf knows
                    raise _Unusual
                keys.add(key)
                if tensor.stop - tensor.start >= LARGE:
                    rest, lifted[key.decode()] = _lift(data, tensor)
                    kept += frame(_OUTPUTS, frame(_KEY, [key]) + frame(_VALUE, [rest]))
                    continue
            kept.append(data[record.tag : record.stop])
    except (_Unusual, VarintError, UnicodeDecodeError):
        return data, {}
    return b"".join(kept), lifted


def _entry(data: bytes, record: _Record) -> tuple[bytes, _Record]:
    """Read one entry of the map of outputs: its key, and where its tensor is."""
    fields = list(_records(data, record.start, record.stop)) if record.wire_type == _BYTES else []
    if [(field.number, field.wire_type) for field in fields] != [(_KEY, _BYTES), (_VALUE, _BYTES)]:
        raise _Unusual
    return data[fields[0].start : fields[0].stop], fields[1]


def _lift(data: bytes, tensor: _Record) -> tuple[bytes, Lifted]:
    """Take the values out of one tensor: the rest of it, and its values."""
    kept: list[bytes] = []
    lifted: dict[int, list[memoryview]] = {}
    view = memoryview(data)
    for count, field in enumerate(_records(data, tensor.start, tensor.stop)):
        if count == _MOST_RECORDS:
            raise _Unusual
        if field.number in _VALUES and field.wire_type == _BYTES:
            lifted.setdefault(field.number, []).append(view[field.start : field.stop])
        else:
            kept.append(data[field.tag : field.stop])
    return b"".join(kept), lifted


def _records(data: bytes, at: int, stop: int) -> Iterator[_Record]:
    """Walk the fields between two positions."""
    while at < stop:
        tag = at
        key, at = read_one(data, at, _LONGEST)
        number, wire_type = key >> 3, key & 7
        if wire_type == _BYTES:
            size, at = read_one(data, at, _LONGEST)
            end = at + size
        elif wire_type == _VARINT:
            end = read_one(data, at, _LONGEST)[1]
        elif wire_type in (_FIXED_64, _FIXED_32):
            end = at + (8 if wire_type == _FIXED_64 else 4)
        else:
            raise _Unusual
        if not number or end > stop:
            raise _Unusual
        yield _Record(number, wire_type, tag, at, end)
        at = end
