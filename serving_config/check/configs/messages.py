"""How a tree of text format is held to a message of TensorFlow Serving: its fields, their types, repetitions."""

from collections.abc import Iterator

from google.protobuf import message_factory, text_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from ...server import protocol
from ..finding import Finding, meant
from .text_proto import Node

_BITS = {
    FieldDescriptor.CPPTYPE_INT32: 31,
    FieldDescriptor.CPPTYPE_INT64: 63,
    FieldDescriptor.CPPTYPE_UINT32: 32,
    FieldDescriptor.CPPTYPE_UINT64: 64,
}


def message(name: str) -> Descriptor:
    """The descriptor of a configuration message by its short name, such as `BatchingParameters`."""
    descriptor: Descriptor = getattr(protocol, name).DESCRIPTOR
    return descriptor


def conform(root: Node, descriptor: Descriptor) -> list[Finding]:
    """Where the tree is not a `descriptor` message: unknown fields, wrong types, repetitions.

    Protobuf's own parser says whether there is a fault; it does not know what an Any holds.
    """
    refusal = _refusal(root, descriptor)
    if refusal is None:
        return []
    faults = list(_message_faults(root, root.source, descriptor))
    return faults if faults or any(node.name.startswith("[") for node in root.walk()) else [refusal]


def _refusal(root: Node, descriptor: Descriptor) -> Finding | None:
    try:
        text_format.Parse(root.source, message_factory.GetMessageClass(descriptor)())
    except text_format.ParseError as error:
        # Its message quotes the line, which may be a key's.
        secret = descriptor.name == protocol.SSLConfig.DESCRIPTOR.name
        words = str(error).partition(" : ")[2] or str(error)
        message = "breaks the grammar of the text format" if secret else words
        return Finding(root.path, error.GetLine() or 1, message, "correct it")
    except UnicodeDecodeError:
        return root.fault("a string is not UTF-8 text", "correct it")
    return None


def _message_faults(parent: Node, source: str, descriptor: Descriptor) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for node in parent.fields:
        field = descriptor.fields_by_name.get(node.name)
        if field is None and node.name.startswith("["):
            continue
        if field is None:
            known = list(descriptor.fields_by_name)
            advice = meant(node.name, known, f"its fields are {', '.join(known)}")
            yield node.fault(f"{descriptor.name} has no field {node.name}", advice)
            continue
        group = field.containing_oneof.name if field.containing_oneof else node.name
        if group in seen and not _is_repeated(field):
            yield node.fault(f"{node.name} is set although {seen[group]} already is", "keep one of the two")
        seen[group] = node.name
        yield from _value_faults(node, source, field)


def _is_repeated(field: FieldDescriptor) -> bool:
    if hasattr(field, "is_repeated"):
        return bool(field.is_repeated)
    repeated = FieldDescriptor.LABEL_REPEATED
    return bool(field.label == repeated)  # type: ignore[attr-defined]  # as protobuf before 6.31 has it


def _value_faults(node: Node, source: str, field: FieldDescriptor) -> Iterator[Finding]:
    kind = field.message_type
    if kind is not None and node.is_message:
        yield from _message_faults(node, source, kind)
    elif kind is not None:
        inside = next(iter(kind.fields_by_name), "")
        advice = f"write {node.name} {{ {inside}: {node.text} }}" if inside == "value" else "use { ... }"
        yield node.fault(f"{node.name} is a message, not a value", advice)
    elif node.is_message or not _fits(node, source, field):
        shown = "{ ... }" if node.is_message else repr(node.text) if node.quoted else node.text
        if "PRIVATE KEY-" in (node.text or ""):
            shown = "a private key"
        yield node.fault(f"{node.name} is {shown}", f"give it {_wanted(field)}")


def _fits(node: Node, source: str, field: FieldDescriptor) -> bool:
    assert field.containing_type is not None
    alone = message_factory.GetMessageClass(field.containing_type)()
    try:
        text_format.Parse(f"{node.name}: {source[node.value_start : node.end]}", alone)
    except (text_format.ParseError, UnicodeDecodeError):
        return False
    return True


def _wanted(field: FieldDescriptor) -> str:
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return "true or false"
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return "a string in quotes"
    if field.enum_type is not None:
        return f"one of {', '.join(field.enum_type.values_by_name)}"
    bits = _BITS.get(field.cpp_type)
    if bits is None:
        return "a number"
    return f"a whole number from {-(2**bits) if bits % 2 else 0} to {2**bits - 1}"
