"""The messages of TensorFlow Serving's configuration files, and how a tree of text format is held to one.

ModelServerConfig and PlatformConfigMap come from the tensorflow-serving-api package (whose config modules
need no TensorFlow). BatchingParameters, MonitoringConfig and SSLConfig are not in it; their fields are stated
here as of TensorFlow Serving 2.20.0: servables/tensorflow/session_bundle_config.proto,
config/monitoring_config.proto, config/ssl_config.proto.
"""

import difflib
import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool, wrappers_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from .finding import Finding
from .text_proto import Node, integer

_STATED = {
    "BatchingParameters": (
        ("max_batch_size", 1, "Int64Value"),
        ("batch_timeout_micros", 2, "Int64Value"),
        ("max_enqueued_batches", 3, "Int64Value"),
        ("num_batch_threads", 4, "Int64Value"),
        ("thread_pool_name", 5, "StringValue"),
        ("enable_large_batch_splitting", 8, "BoolValue"),
        ("max_execution_batch_size", 9, "Int64Value"),
        ("allowed_batch_sizes", 6, "repeated int64"),
        ("pad_variable_length_inputs", 7, "bool"),
    ),
    "PrometheusConfig": (("enable", 1, "bool"), ("path", 2, "string")),
    "MonitoringConfig": (("prometheus_config", 1, "PrometheusConfig"),),
    "SSLConfig": (
        ("server_key", 1, "string"),
        ("server_cert", 2, "string"),
        ("custom_ca", 3, "string"),
        ("client_verify", 4, "bool"),
    ),
}
_SCALARS = {
    "int64": FieldDescriptorProto.TYPE_INT64,
    "bool": FieldDescriptorProto.TYPE_BOOL,
    "string": FieldDescriptorProto.TYPE_STRING,
}
_INTEGERS = {
    FieldDescriptor.TYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_UINT64: (0, 2**64 - 1),
}
_BOOLEANS = {"true", "false", "True", "False", "t", "f", "1", "0"}


@cache
def message(name: str) -> Descriptor:
    """The descriptor of a configuration message by its short name, such as `BatchingParameters`."""
    if name == "ModelServerConfig":
        from tensorflow_serving.config import model_server_config_pb2

        official: Descriptor = model_server_config_pb2.ModelServerConfig.DESCRIPTOR
        return official
    if name == "PlatformConfigMap":
        from tensorflow_serving.config import platform_config_pb2

        platforms: Descriptor = platform_config_pb2.PlatformConfigMap.DESCRIPTOR
        return platforms
    return _stated_pool().FindMessageTypeByName(f"serving_config.{name}")


@cache
def _stated_pool() -> descriptor_pool.DescriptorPool:
    # A pool and a package of their own: these descriptors never meet TensorFlow Serving's in one process.
    pool = descriptor_pool.DescriptorPool()
    wrappers = descriptor_pb2.FileDescriptorProto()
    wrappers_pb2.DESCRIPTOR.CopyToProto(wrappers)
    pool.Add(wrappers)
    stated = descriptor_pb2.FileDescriptorProto(
        name="serving_config/stated.proto",
        package="serving_config",
        syntax="proto3",
        dependency=[wrappers.name],
    )
    for name, fields in _STATED.items():
        stated_message = stated.message_type.add(name=name)
        for field_name, number, kind in fields:
            _add_field(stated_message, field_name, number, kind)
    pool.Add(stated)
    return pool


def _add_field(parent: descriptor_pb2.DescriptorProto, name: str, number: int, kind: str) -> None:
    label, _, kind = kind.rpartition(" ")
    added = parent.field.add(name=name, number=number, label=FieldDescriptorProto.LABEL_OPTIONAL)
    if label == "repeated":
        added.label = FieldDescriptorProto.LABEL_REPEATED
    if kind in _SCALARS:
        added.type = _SCALARS[kind]
    else:
        added.type = FieldDescriptorProto.TYPE_MESSAGE
        added.type_name = f".{'serving_config' if kind in _STATED else 'google.protobuf'}.{kind}"


def conform(root: Node, descriptor: Descriptor, path: Path) -> list[Finding]:
    """Where the tree is not a `descriptor` message: unknown fields, wrong types, repetitions."""
    return list(_message_faults(root, descriptor, path))


def _message_faults(parent: Node, descriptor: Descriptor, path: Path) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for node in parent.fields:
        field = descriptor.fields_by_name.get(node.name)
        if field is None:
            yield _unknown(node, descriptor, path)
            continue
        group = field.containing_oneof.name if field.containing_oneof else node.name
        if not field.is_repeated and group in seen:
            message_text = f"{node.name} is set although {seen[group]} already is"
            yield Finding(path, node.line, message_text, "keep one of the two")
        seen[group] = node.name
        yield from _value_faults(node, field, path)


def _unknown(node: Node, descriptor: Descriptor, path: Path) -> Finding:
    known = list(descriptor.fields_by_name)
    close = difflib.get_close_matches(node.name, known, n=1)
    advice = f"did you mean {close[0]}?" if close else f"its fields are {', '.join(known)}"
    return Finding(path, node.line, f"{descriptor.name} has no field {node.name}", advice)


def _value_faults(node: Node, field: FieldDescriptor, path: Path) -> Iterator[Finding]:
    kind = field.message_type
    if kind is not None:
        if node.is_message:
            yield from _message_faults(node, kind, path)
        else:
            inside = next(iter(kind.fields_by_name), "")
            advice = f"write {node.name} {{ {inside}: {node.text} }}" if inside == "value" else "use { ... }"
            yield Finding(path, node.line, f"{node.name} is a message, not a value", advice)
        return
    wanted = _wanted(field)
    if node.is_message or not _fits(node, field):
        shown = "{ ... }" if node.is_message else repr(node.text) if node.quoted else node.text
        if "PRIVATE KEY-" in (node.text or ""):
            shown = "a private key"
        yield Finding(path, node.line, f"{node.name} is {shown}", f"give it {wanted}")


def _fits(node: Node, field: FieldDescriptor) -> bool:
    text = node.text or ""
    if field.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES):
        return node.quoted
    if node.quoted:
        return False
    if field.type == FieldDescriptor.TYPE_BOOL:
        return text in _BOOLEANS
    if field.enum_type is not None:
        return text in field.enum_type.values_by_name or integer(text) in field.enum_type.values_by_number
    if field.type in _INTEGERS:
        low, high = _INTEGERS[field.type]
        number = integer(text)
        return number is not None and low <= number <= high
    try:
        return not math.isnan(float(text.rstrip("f")))
    except ValueError:
        return False


def _wanted(field: FieldDescriptor) -> str:
    if field.type == FieldDescriptor.TYPE_BOOL:
        return "true or false"
    if field.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES):
        return "a string in quotes"
    if field.enum_type is not None:
        return f"one of {', '.join(field.enum_type.values_by_name)}"
    if field.type in _INTEGERS:
        low, high = _INTEGERS[field.type]
        return f"a whole number from {low} to {high}"
    return "a number"
