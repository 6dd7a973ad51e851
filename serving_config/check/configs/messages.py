"""How a tree of text format is held to a message of TensorFlow Serving: its fields, their types, repetitions."""

import difflib
from collections.abc import Iterator

from google.protobuf import message_factory, text_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from ... import protocol
from ..finding import Finding
from .text_proto import BOOLEANS, Node, integer

_INTEGERS = {
    FieldDescriptor.TYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_UINT64: (0, 2**64 - 1),
}
_STRINGS = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)


def message(name: str) -> Descriptor:
    """The descriptor of a configuration message by its short name, such as `BatchingParameters`."""
    descriptor: Descriptor = getattr(protocol, name).DESCRIPTOR
    return descriptor


def conform(root: Node, descriptor: Descriptor) -> list[Finding]:
    """Where the tree is not a `descriptor` message: unknown fields, wrong types, repetitions.

    Where nothing is found, protobuf's own parser has the last word; it does not know what an Any holds.
    """
    faults = list(_message_faults(root, descriptor))
    if faults or any(node.name.startswith("[") for node in root.walk()):
        return faults
    try:
        text_format.Parse(root.source, message_factory.GetMessageClass(descriptor)())
    except text_format.ParseError as error:
        # Its message quotes the line, which may be a key's.
        secret = descriptor.name == protocol.SSLConfig.DESCRIPTOR.name
        words = str(error).partition(" : ")[2] or str(error)
        message = "breaks the grammar of the text format" if secret else words
        return [Finding(root.path, error.GetLine() or 1, message, "correct it")]
    except UnicodeDecodeError:
        return [root.fault("a string is not UTF-8 text", "correct it")]
    return []


def _message_faults(parent: Node, descriptor: Descriptor) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for node in parent.fields:
        field = descriptor.fields_by_name.get(node.name)
        if field is None and node.name.startswith("["):
            continue
        if field is None:
            known = list(descriptor.fields_by_name)
            close = difflib.get_close_matches(node.name, known, n=1)
            advice = f"did you mean {close[0]}?" if close else f"its fields are {', '.join(known)}"
            yield node.fault(f"{descriptor.name} has no field {node.name}", advice)
            continue
        group = field.containing_oneof.name if field.containing_oneof else node.name
        if group in seen and not _is_repeated(field):
            yield node.fault(f"{node.name} is set although {seen[group]} already is", "keep one of the two")
        seen[group] = node.name
        yield from _value_faults(node, field)


def _is_repeated(field: FieldDescriptor) -> bool:
    if hasattr(field, "is_repeated"):
        return bool(field.is_repeated)
    repeated = FieldDescriptor.LABEL_REPEATED
    return bool(field.label == repeated)  # type: ignore[attr-defined]  # as protobuf before 6.31 has it


def _value_faults(node: Node, field: FieldDescriptor) -> Iterator[Finding]:
    kind = field.message_type
    if kind is not None and node.is_message:
        yield from _message_faults(node, kind)
    elif kind is not None:
        inside = next(iter(kind.fields_by_name), "")
        advice = f"write {node.name} {{ {inside}: {node.text} }}" if inside == "value" else "use { ... }"
        yield node.fault(f"{node.name} is a message, not a value", advice)
    elif node.is_message or not _fits(node, field):
        shown = "{ ... }" if node.is_message else repr(node.text) if node.quoted else node.text
        if "PRIVATE KEY-" in (node.text or ""):
            shown = "a private key"
        yield node.fault(f"{node.name} is {shown}", f"give it {_wanted(field)}")


def _fits(node: Node, field: FieldDescriptor) -> bool:
    text = node.text or ""
    if node.quoted or field.type in _STRINGS:
        return node.quoted and field.type in _STRINGS
    if field.type == FieldDescriptor.TYPE_BOOL:
        return text in BOOLEANS
    if field.enum_type is not None:
        return text in field.enum_type.values_by_name or integer(text) in field.enum_type.values_by_number
    if field.type in _INTEGERS:
        low, high = _INTEGERS[field.type]
        return low <= (integer(text) or 0) <= high and integer(text) is not None
    try:
        text_format.ParseFloat(text)
    except ValueError:
        return False
    return True


def _wanted(field: FieldDescriptor) -> str:
    if field.type == FieldDescriptor.TYPE_BOOL:
        return "true or false"
    if field.type in _STRINGS:
        return "a string in quotes"
    if field.enum_type is not None:
        return f"one of {', '.join(field.enum_type.values_by_name)}"
    if field.type in _INTEGERS:
        low, high = _INTEGERS[field.type]
        return f"a whole number from {low} to {high}"
    return "a number"
