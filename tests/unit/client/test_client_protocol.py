"""The stated messages against the official descriptors, and their reader against protoc."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, text_format, wrappers_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, ServiceDescriptor
from grpc_health.v1 import health_pb2
from slimserve.wire import protocol
from tensorflow.core.example import example_pb2, feature_pb2
from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2, types_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    input_pb2,
    model_management_pb2,
    model_pb2,
    model_service_pb2,
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2,
    status_pb2,
)
from tensorflow_serving.config import (
    file_system_storage_path_source_pb2,
    log_collector_config_pb2,
    logging_config_pb2,
    model_server_config_pb2,
    platform_config_pb2,
)

from tests.conftest import ROOT

OFFICIAL = (
    any_pb2,
    classification_pb2,
    example_pb2,
    feature_pb2,
    file_system_storage_path_source_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    health_pb2,
    input_pb2,
    log_collector_config_pb2,
    logging_config_pb2,
    meta_graph_pb2,
    model_management_pb2,
    model_pb2,
    model_server_config_pb2,
    platform_config_pb2,
    predict_pb2,
    prediction_log_pb2,
    status_pb2,
    tensor_pb2,
    tensor_shape_pb2,
    wrappers_pb2,
)
NOT_IN_THE_STUBS = {
    "BatchingParameters",
    "MonitoringConfig",
    "PrometheusConfig",
    "SSLConfig",
    "SavedModelConfig",
    "SessionOverrides",
}
LEFT_OUT = {  # fields that nothing here sends or reads
    "tensorflow.SignatureDef": {"defaults"},
    "tensorflow.TensorInfo": {"coo_sparse", "composite_tensor"},
    "tensorflow.TensorProto": {"resource_handle_val", "variant_val", "float8_val"},
    "tensorflow.serving.ClassifyLog": {"response"},
    "tensorflow.serving.PredictLog": {"response"},
    "tensorflow.serving.PredictionLog": {
        "log_metadata",
        "regress_log",
        "multi_inference_log",
        "session_run_log",
        "predict_streamed_log",
    },
    "tensorflow.serving.PredictRequest": {"predict_streamed_options", "client_id", "request_options"},
}
ENUMS_AS_NUMBERS = {"tensorflow.DataType", "tensorflow.error.Code"}  # int32 is the same on the wire


def stated(messages: Any) -> dict[str, Descriptor]:
    return {name: getattr(messages, name).DESCRIPTOR for name in dir(messages)}


def official(name: str) -> Descriptor:
    return next(
        descriptor
        for module in OFFICIAL
        if (descriptor := module.DESCRIPTOR.message_types_by_name.get(name)) is not None
    )


def values(enum: EnumDescriptor) -> dict[str, int]:
    return {value.name: value.number for value in enum.values}


def shape(field: FieldDescriptor) -> tuple[object, ...]:
    """All that decides how the field is written, on the wire and as text."""
    kind: object = field.type
    if field.message_type is not None:
        kind = field.message_type.full_name
    elif field.enum_type is not None:
        kind = (
            FieldDescriptor.TYPE_INT32
            if field.enum_type.full_name in ENUMS_AS_NUMBERS
            else (field.enum_type.full_name, values(field.enum_type))
        )
    oneof = field.containing_oneof
    choice = oneof.name if oneof is not None and not oneof.name.startswith("_") else None
    return field.number, kind, field.is_repeated, field.is_packed, choice


def assert_same(ours: Descriptor, theirs: Descriptor) -> None:
    assert ours.full_name == theirs.full_name
    assert ours.GetOptions().map_entry == theirs.GetOptions().map_entry
    expected = {field.name: shape(field) for field in theirs.fields}
    for name in LEFT_OUT.get(ours.full_name, set()):
        del expected[name]
    assert {field.name: shape(field) for field in ours.fields} == expected
    assert {e.name: values(e) for e in ours.enum_types} == {e.name: values(e) for e in theirs.enum_types}
    for nested in ours.nested_types:
        assert_same(nested, theirs.nested_types_by_name[nested.name])


@pytest.mark.parametrize("name", sorted(stated(protocol.message_classes()).keys() - NOT_IN_THE_STUBS))
def test_a_message_is_the_official_one(name: str) -> None:
    assert_same(stated(protocol.message_classes())[name], official(name))


def test_packed_numbers_as_bytes_are_all_that_differs() -> None:
    plain, packed = (stated(protocol.message_classes(packed_as_bytes=as_bytes)) for as_bytes in (False, True))
    different = {
        field.name
        for name, message in plain.items()
        for field in message.fields
        if shape(field) != shape(packed[name].fields_by_name[field.name])
    }
    assert different == {
        field.name
        for field in tensor_pb2.TensorProto.DESCRIPTOR.fields
        if field.is_packed and field.name not in LEFT_OUT["tensorflow.TensorProto"]
    }
    assert {packed["TensorProto"].fields_by_name[name].type for name in different} == {
        FieldDescriptor.TYPE_BYTES
    }


def compile_protos(folder: Path, names: list[str], to: Path) -> list[Any]:
    """Compile files in a process of its own: the compiler and TensorFlow do not bear each other."""
    command = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        "-I.",
        "--include_imports",
        f"--descriptor_set_out={to}",
    ]
    subprocess.run([*command, *names], cwd=folder, check=True)
    return list(descriptor_pb2.FileDescriptorSet.FromString(to.read_bytes()).file)


def test_the_statement_is_read_as_protoc_reads_it(tmp_path: Path) -> None:
    packages = re.findall(r"package ([\w.]+);(.*?)(?=package|\Z)", protocol.STATEMENT, re.DOTALL)
    for index, (package, text) in enumerate(packages):
        imports = "".join(f'import "{before}";\n' for before, _ in packages[:index])
        (tmp_path / package).write_text(f'syntax = "proto3";\n{imports}package {package};\n{text}')
    names = [package for package, _ in packages]
    compiled = compile_protos(tmp_path, names, tmp_path / "compiled")

    assert [file.package for file in compiled] == names
    for ours, theirs in zip(protocol.read_statement(packed_as_bytes=False), compiled, strict=True):
        for theirs_message, ours_message in zip(theirs.message_type, ours.message_type, strict=True):
            assert_read_alike(ours_message, theirs_message)
        assert ours.enum_type == theirs.enum_type


def test_the_files_for_other_languages_state_the_official_messages_and_calls(tmp_path: Path) -> None:
    folder = ROOT / "docs" / "calling" / "protos"
    names = sorted(path.name for path in folder.glob("*.proto"))
    pool = descriptor_pool.DescriptorPool()
    for file in compile_protos(folder, names, tmp_path / "compiled"):
        pool.AddSerializedFile(file.SerializeToString())
    files = [pool.FindFileByName(name) for name in names]
    for message in (message for file in files for message in file.message_types_by_name.values()):
        assert_same(message, official(message.name))
    services = {name: service for file in files for name, service in file.services_by_name.items()}
    for module in (prediction_service_pb2, model_service_pb2, health_pb2):
        for name, theirs in module.DESCRIPTOR.services_by_name.items():
            assert calls(services[name]).items() <= calls(theirs).items()
    numbers = values(pool.FindEnumTypeByName("tensorflow.DataType"))
    assert numbers.items() <= dict(types_pb2.DataType.items()).items()


def calls(service: ServiceDescriptor) -> dict[str, tuple[str, str]]:
    """What each method takes and gives, by its full name."""
    return {
        method.full_name: (method.input_type.full_name, method.output_type.full_name)
        for method in service.methods
    }


def assert_read_alike(ours: Any, theirs: Any) -> None:
    """Compare two messages of descriptors; ours leaves the kind of a named type, and its full name, to the pool."""
    assert ours.name == theirs.name
    for our_field, their_field in zip(ours.field, theirs.field, strict=True):
        their_field.ClearField("json_name")
        if our_field.type_name:
            assert their_field.type_name.endswith(f".{our_field.type_name}")
            our_field.type_name, our_field.type = their_field.type_name, their_field.type
        assert our_field == their_field
    assert (ours.options, ours.enum_type, ours.oneof_decl) == (
        theirs.options,
        theirs.enum_type,
        theirs.oneof_decl,
    )
    for our_nested, their_nested in zip(ours.nested_type, theirs.nested_type, strict=True):
        assert_read_alike(our_nested, their_nested)


def test_every_line_of_the_statement_is_read() -> None:
    left = re.sub(protocol._ITEM, "", protocol.STATEMENT)
    assert left.split() == []


def test_text_that_the_official_message_writes_is_read_the_same() -> None:
    text = """
        model_config_list { config {
          name: "vgg_16" base_path: "/models/vgg_16" model_platform: "tensorflow"
          model_version_policy { specific { versions: 3 versions: 4 } }
          version_labels { key: "stable" value: 3 }
          logging_config { sampling_config { sampling_rate: 0.5 } }
        } }
    """
    theirs = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    ours = text_format.Parse(text_format.MessageToString(theirs), protocol.ModelServerConfig())
    assert ours.SerializeToString(deterministic=True) == theirs.SerializeToString(deterministic=True)
    assert text_format.MessageToString(ours) == text_format.MessageToString(theirs)


@pytest.mark.parametrize("package", ["serving_config.server", "export.savedmodel"])
def test_every_package_has_the_one_statement(package: str) -> None:
    theirs = importlib.import_module(f"slimserve.{package}.protocol")
    assert theirs.STATEMENT == protocol.STATEMENT


def test_a_message_that_is_not_stated_is_missed_by_name() -> None:
    with pytest.raises(ImportError, match="RegressionRequest"):
        from slimserve.wire.protocol import RegressionRequest  # noqa: F401


@pytest.mark.parametrize("implementation", ["upb", "python"])
def test_protobuf_in_c_and_in_python_read_the_statement(implementation: str) -> None:
    script = """
from slimserve.wire.protocol import message_classes
from slimserve.wire.encoding import tensor_of_array
from slimserve.wire.messages import Servable, predict_request
request = predict_request(Servable("m", 3), "s", {"x": tensor_of_array([1.5, 2.5])})
read = message_classes().PredictRequest.FromString(request)
assert read.model_spec.version.value == 3 and len(read.inputs["x"].tensor_content) == 16
"""
    environment = {**os.environ, "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": implementation}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True)


FORKED = """
import os, signal, threading
from slimserve.wire import protocol

begun, read_statement = threading.Event(), protocol.read_statement

def read_and_say_so(*arguments):
    begun.set()
    return read_statement(*arguments)

protocol.read_statement = read_and_say_so
first_use = threading.Thread(target=getattr, args=[protocol.message_classes(), "PredictRequest"])
first_use.start()
begun.wait()
child = os.fork()
if not child:
    signal.alarm(10)
    protocol.message_classes().PredictRequest
    os._exit(0)
print(os.waitpid(child, 0)[1])
first_use.join()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_process_is_forked_while_another_thread_reads_the_statement() -> None:
    command = [sys.executable, "-c", FORKED]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "0\n"
