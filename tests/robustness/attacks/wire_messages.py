"""Messages as bytes on the wire: shaped as a protobuf descriptor says, or nearly so; each decided by a random source.

Fields come in any order, repeated, split, with the wrong wire type or number, with numbers written longer than they
need be; map entries lack their key, come twice or hold more; lengths lie; bytes flip at the end.
Source: https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence

from google.protobuf.descriptor import Descriptor, FieldDescriptor

VARINT, FIXED_64, BYTES, START_GROUP, END_GROUP, FIXED_32 = range(6)
Words = Mapping[str, Sequence[bytes]]
"""Values worth trying for strings and bytes, by the field's name or full name."""

Make = Callable[[random.Random], bytes]

_FIXED = {
    FieldDescriptor.TYPE_FLOAT: 4,
    FieldDescriptor.TYPE_FIXED32: 4,
    FieldDescriptor.TYPE_SFIXED32: 4,
    FieldDescriptor.TYPE_DOUBLE: 8,
    FieldDescriptor.TYPE_FIXED64: 8,
    FieldDescriptor.TYPE_SFIXED64: 8,
}
_TEXT = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)
_NASTY = [1 << 7, 1 << 8, 1 << 16, 1 << 31, 1 << 32, 1 << 62, 1 << 63, 1 << 64]
_DEPTH = 9


def varint(value: int, length: int = 1) -> bytes:
    """`value` in at least `length` bytes."""
    groups = []
    while value or len(groups) < length:
        groups.append(value & 0x7F)
        value >>= 7
    return bytes([*(group | 0x80 for group in groups[:-1]), groups[-1]])


def tagged(number: int, wire_type: int, value: bytes) -> bytes:
    """A field; of wire type BYTES with its length."""
    return varint(number << 3 | wire_type) + (varint(len(value)) if wire_type == BYTES else b"") + value


def integer(source: random.Random) -> int:
    """Up to 64 bits, small ones and those at borders most often."""
    chance = source.random()
    if chance < 0.6:
        return source.randrange(6)
    if chance < 0.8:
        return source.randrange(300)
    if chance < 0.95:
        return max(source.choice(_NASTY) - source.randrange(3), 0) % (1 << 64)
    return source.getrandbits(64)


def _varint(source: random.Random) -> bytes:
    return varint(integer(source), source.choice([*[1] * 30, 2, 2, 5, 10, 11]))


def message(source: random.Random, descriptor: Descriptor, words: Words, depth: int = 0) -> bytes:
    """Bytes of a message of that type, mostly sound."""
    fields = list(descriptor.fields)
    if depth >= _DEPTH:
        fields = [field for field in fields if field.type != FieldDescriptor.TYPE_MESSAGE]
    if not fields:
        return b""
    if descriptor.GetOptions().map_entry and source.random() < 0.9:
        chosen = fields
    else:
        chosen = source.choices(fields, k=source.randrange(8 if depth < 2 else 5))
    return b"".join(_field(source, field, words, depth) for field in chosen)


def _field(source: random.Random, field: FieldDescriptor, words: Words, depth: int) -> bytes:
    if source.random() < 0.015:
        return _odd(source, field.number)
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        return tagged(field.number, BYTES, message(source, field.message_type, words, depth + 1))
    if field.type in _TEXT:
        return tagged(
            field.number, BYTES, _text(source, words.get(field.full_name, words.get(field.name, [])))
        )
    size = _FIXED.get(field.type)
    wire_type = VARINT if size is None else FIXED_32 if size == 4 else FIXED_64

    def value() -> bytes:
        if size:
            return source.choice([source.randbytes(size), bytes(size)])
        if field.enum_type and source.random() < 0.9:
            return varint(source.choice(field.enum_type.values).number % (1 << 64))
        return _varint(source)

    if field.is_repeated and source.random() < 0.75:
        return tagged(field.number, BYTES, b"".join(value() for _ in range(source.randrange(9))))
    return tagged(field.number, wire_type, value())


def _text(source: random.Random, words: Sequence[bytes]) -> bytes:
    if words and source.random() < 0.85:
        return source.choice(words)
    return source.choice([*[b"", b"a", "ä€".encode()] * 5, source.randbytes(source.randrange(17))])


def _odd(source: random.Random, number: int) -> bytes:
    """A field that no descriptor knows, or of another type than it says."""
    number = source.choice([number, number, source.randrange(21), 0, 1000, (1 << 29) - 1, 1 << 29])
    kind = source.randrange(8)
    if kind == 0:
        return tagged(number, VARINT, _varint(source))
    if kind in (1, 2):
        return tagged(number, FIXED_64 if kind == 1 else FIXED_32, source.randbytes(8 if kind == 1 else 4))
    if kind == 3:
        return tagged(number, BYTES, source.randbytes(source.randrange(13)))
    if kind == 4:
        return tagged(
            number, source.choice([START_GROUP, END_GROUP, 6, 7]), source.randbytes(source.randrange(5))
        )
    if kind == 5:
        return tagged(number, START_GROUP, b"") + tagged(number, END_GROUP, b"")
    return varint(number << 3 | BYTES) + varint(integer(source)) + source.randbytes(source.randrange(7))


def damaged(source: random.Random, data: bytes) -> bytes:
    """The same bytes, one time in four with a few of them changed, lost or added."""
    changed = bytearray(data)
    for _ in range(source.choice([*[0] * 9, 1, 2, 5])):
        at = source.randrange(len(changed) + 1)
        edit = source.randrange(6)
        if edit < 2 and at < len(changed):
            changed[at] ^= 1 << source.randrange(8)
        elif edit == 2:
            del changed[at:]
        elif edit == 3:
            del changed[at : at + source.randint(1, 4)]
        elif edit == 4:
            changed[at:at] = source.randbytes(source.randint(1, 4))
        elif edit == 5:
            changed += changed[at:]
    return bytes(changed)
