"""The messages of TensorFlow Serving's API and of its configuration files, stated once for every protobuf.

The statement is proto3, as in TensorFlow Serving 2.20, TensorFlow 2.21 and gRPC's health service. Fields and messages
that nothing here sends or reads are left out. It is read when the first message is asked for: code that protoc
generates runs only beside the versions of protobuf that it was generated for. The messages live in a pool of their
own, so they keep their official names beside the official stubs in one process.

The file serves three packages: `serving_config/server/protocol.py` and `export/savedmodel/protocol.py` are links to it,
and an install holds three copies.

    from .protocol import PredictRequest
    PredictRequest(model_spec={"name": "vgg_16"}).SerializeToString()
"""

from __future__ import annotations

import os
import re
import threading
from functools import cache
from typing import TYPE_CHECKING, Any

from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

if TYPE_CHECKING:
    from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto

STATEMENT = """
package google.protobuf;
message Any { string type_url = 1; bytes value = 2; }
message BoolValue { bool value = 1; }
message Int64Value { int64 value = 1; }
message StringValue { string value = 1; }

package tensorflow;
// tensorflow/core/framework/tensor_shape.proto, tensor.proto; tensorflow/core/protobuf/meta_graph.proto
message TensorShapeProto {
  message Dim { int64 size = 1; string name = 2; }
  repeated Dim dim = 2;
  bool unknown_rank = 3;
}
message TensorProto {
  int32 dtype = 1;  // DataType
  TensorShapeProto tensor_shape = 2;
  int32 version_number = 3;
  bytes tensor_content = 4;
  repeated int32 half_val = 13;
  repeated float float_val = 5;
  repeated double double_val = 6;
  repeated int32 int_val = 7;
  repeated bytes string_val = 8;
  repeated float scomplex_val = 9;
  repeated int64 int64_val = 10;
  repeated bool bool_val = 11;
  repeated double dcomplex_val = 12;
  repeated uint32 uint32_val = 16;
  repeated uint64 uint64_val = 17;
}
message TensorInfo {
  oneof encoding { string name = 1; }
  int32 dtype = 2;  // DataType
  TensorShapeProto tensor_shape = 3;
}
message SignatureDef {
  map<string, TensorInfo> inputs = 1;
  map<string, TensorInfo> outputs = 2;
  string method_name = 3;
}
// tensorflow/core/example/example.proto, feature.proto
message Example { Features features = 1; }
message Features { map<string, Feature> feature = 1; }
message Feature { oneof kind { BytesList bytes_list = 1; FloatList float_list = 2; Int64List int64_list = 3; } }
message BytesList { repeated bytes value = 1; }
message FloatList { repeated float value = 1; }
message Int64List { repeated int64 value = 1; }

package tensorflow.serving;
// tensorflow_serving/apis/model.proto, predict.proto, get_model_metadata.proto
message ModelSpec {
  string name = 1;
  oneof version_choice { google.protobuf.Int64Value version = 2; string version_label = 4; }
  string signature_name = 3;
}
message PredictRequest {
  ModelSpec model_spec = 1;
  map<string, TensorProto> inputs = 2;
  repeated string output_filter = 3;
}
message PredictResponse {
  ModelSpec model_spec = 2;
  map<string, TensorProto> outputs = 1;
}
message SignatureDefMap { map<string, SignatureDef> signature_def = 1; }
message GetModelMetadataRequest { ModelSpec model_spec = 1; repeated string metadata_field = 2; }
message GetModelMetadataResponse { ModelSpec model_spec = 1; map<string, google.protobuf.Any> metadata = 2; }
// apis/classification.proto, input.proto, prediction_log.proto
message ClassificationRequest { ModelSpec model_spec = 1; Input input = 2; }
message ClassificationResponse { ModelSpec model_spec = 2; ClassificationResult result = 1; }
message ClassificationResult { repeated Classifications classifications = 1; }
message Classifications { repeated Class classes = 1; }
message Class { string label = 1; float score = 2; }
message Input {
  oneof kind { ExampleList example_list = 1; ExampleListWithContext example_list_with_context = 2; }
}
message ExampleList { repeated Example examples = 1; }
message ExampleListWithContext { repeated Example examples = 1; Example context = 2; }
message PredictionLog { oneof log_type { ClassifyLog classify_log = 2; PredictLog predict_log = 6; } }
message ClassifyLog { ClassificationRequest request = 1; }
message PredictLog { PredictRequest request = 1; }
// util/status.proto, apis/get_model_status.proto, apis/model_management.proto
message StatusProto { int32 error_code = 1; string error_message = 2; }  // error_code: tensorflow.error.Code
message ModelVersionStatus {
  enum State { UNKNOWN = 0; START = 10; LOADING = 20; AVAILABLE = 30; UNLOADING = 40; END = 50; }
  int64 version = 1;
  State state = 2;
  StatusProto status = 3;
}
message GetModelStatusRequest { ModelSpec model_spec = 1; }
message GetModelStatusResponse { repeated ModelVersionStatus model_version_status = 1; }
message Metric { string name = 1; oneof value_increase { int64 int64_value_increase = 2; } }
message ReloadConfigRequest { ModelServerConfig config = 1; repeated string metric_names = 2; }
message ReloadConfigResponse { StatusProto status = 1; repeated Metric metric = 2; }
// config/model_server_config.proto, file_system_storage_path_source.proto
enum ModelType { MODEL_TYPE_UNSPECIFIED = 0; TENSORFLOW = 1; OTHER = 2; }
message ModelServerConfig {
  oneof config { ModelConfigList model_config_list = 1; google.protobuf.Any custom_model_config = 2; }
}
message ModelConfigList { repeated ModelConfig config = 1; }
message ModelConfig {
  string name = 1;
  string base_path = 2;
  ModelType model_type = 3;
  string model_platform = 4;
  FileSystemStoragePathSourceConfig.ServableVersionPolicy model_version_policy = 7;
  map<string, int64> version_labels = 8;
  LoggingConfig logging_config = 6;
}
message FileSystemStoragePathSourceConfig {
  message ServableVersionPolicy {
    message Latest { uint32 num_versions = 1; }
    message All {}
    message Specific { repeated int64 versions = 1; }
    oneof policy_choice { Latest latest = 100; All all = 101; Specific specific = 102; }
  }
  message ServableToMonitor {
    string servable_name = 1;
    string base_path = 2;
    ServableVersionPolicy servable_version_policy = 4;
  }
  repeated ServableToMonitor servables = 5;
  int64 file_system_poll_wait_seconds = 3;
  bool fail_if_zero_versions_at_startup = 4;
  bool servable_versions_always_present = 6;
}
// config/logging_config.proto, log_collector_config.proto, platform_config.proto
message LoggingConfig {
  LogCollectorConfig log_collector_config = 1;
  SamplingConfig sampling_config = 2;
  google.protobuf.Any custom_logging_config = 3;
}
message LogCollectorConfig { string type = 1; string filename_prefix = 2; }
message SamplingConfig {
  enum Attributes { ATTR_DEFAULT = 0; ATTR_REQUEST_ORIGIN = 1; ATTR_REQUEST_CRITICALITY = 2; }
  double sampling_rate = 1;
  repeated PerTaskSamplingConfig per_task_sampling_configs = 3;
  int32 attributes = 2;
}
message PerTaskSamplingConfig { string dc = 1; int32 task_index = 2; double sampling_rate = 3; }
message PlatformConfigMap { map<string, PlatformConfig> platform_configs = 1; }
message PlatformConfig { google.protobuf.Any source_adapter_config = 1; }
// servables/tensorflow/session_bundle_config.proto, config/monitoring_config.proto, config/ssl_config.proto
message BatchingParameters {
  google.protobuf.Int64Value max_batch_size = 1;
  google.protobuf.Int64Value batch_timeout_micros = 2;
  google.protobuf.Int64Value max_enqueued_batches = 3;
  google.protobuf.Int64Value num_batch_threads = 4;
  google.protobuf.StringValue thread_pool_name = 5;
  google.protobuf.BoolValue enable_large_batch_splitting = 8;
  google.protobuf.Int64Value max_execution_batch_size = 9;
  repeated int64 allowed_batch_sizes = 6;
  bool pad_variable_length_inputs = 7;
}
message MonitoringConfig { PrometheusConfig prometheus_config = 1; }
message PrometheusConfig { bool enable = 1; string path = 2; }
// servables/tensorflow/saved_model_config.proto
message SavedModelConfig { SessionOverrides session_overrides = 1; }
message SessionOverrides { bool disable_meta_optimizer = 3; }
message SSLConfig { string server_key = 1; string server_cert = 2; string custom_ca = 3; bool client_verify = 4; }

package grpc.health.v1;
message HealthCheckRequest { string service = 1; }
message HealthCheckResponse {
  enum ServingStatus { UNKNOWN = 0; SERVING = 1; NOT_SERVING = 2; SERVICE_UNKNOWN = 3; }
  ServingStatus status = 1;
}
"""

_READING = threading.Lock()  # threads must not get messages of two pools, which do not go together
# A forked process would wait for ever for the thread that reads. Windows has no fork.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_READING.acquire, after_in_parent=_READING.release, after_in_child=_READING.release
    )
_ITEM = (
    r"//.*"
    r"|package (?P<package>[\w.]+);"
    r"|(?P<block>message|enum|oneof) (?P<block_name>\w+) \{"
    r"|(?P<end>\})"
    r"|(?P<value>\w+) = (?P<value_number>\d+);"
    r"|(?P<repeated>repeated )?(?:map<string, )?(?P<type>[\w.]+)(?P<map>>)? (?P<name>\w+) = (?P<number>\d+);"
)


class _Classes:
    """The statement is read when the first class is asked for, and each class made when it is: an import takes none."""

    def __init__(self, packed_as_bytes: bool) -> None:
        self._packed_as_bytes = packed_as_bytes
        self._descriptors: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # `from .protocol import` asks for a __path__
            raise AttributeError(name)
        with _READING:
            if (descriptor := self._read().get(name)) is None:
                raise AttributeError(f"{__name__} states no message {name}")
            made = vars(self)[name] = GetMessageClass(descriptor)
        return made

    def __dir__(self) -> list[str]:
        with _READING:
            return list(self._read())

    def _read(self) -> dict[str, Any]:
        if not self._descriptors:
            pool = DescriptorPool()
            for file in read_statement(self._packed_as_bytes):
                pool.AddSerializedFile(file.SerializeToString())
                for message in file.message_type:
                    full_name = f"{file.package}.{message.name}"
                    self._descriptors[message.name] = pool.FindMessageTypeByName(full_name)
        return self._descriptors


@cache
def message_classes(*, packed_as_bytes: bool = False) -> Any:
    """Give the message classes as attributes by their short names, such as `.PredictRequest`.

    With `packed_as_bytes`, the packed numbers of a TensorProto are declared as bytes. Both are length-delimited on the
    wire, so the values arrive as one buffer (several where the sender split them) that numpy reads as it is, without a
    Python object for each value.
    """
    return _Classes(packed_as_bytes)


def __getattr__(name: str) -> Any:
    """Make `from .protocol import PredictRequest` work, without a list of all names."""
    return getattr(message_classes(), name)


def read_statement(packed_as_bytes: bool) -> list[FileDescriptorProto]:
    """Read the statement: the descriptor of a file for each package, which may use those before it."""
    from google.protobuf.descriptor_pb2 import FileDescriptorProto

    files: list[FileDescriptorProto] = []
    blocks: list[Any] = []  # the messages and the enum that the item stands in, outermost first
    oneof = False
    for item in re.finditer(_ITEM, STATEMENT):
        if package := item["package"]:
            before = [file.name for file in files]
            files.append(
                FileDescriptorProto(name=package, package=package, syntax="proto3", dependency=before)
            )
            blocks = [files[-1]]
        elif item["block"] == "message":
            nested = blocks[-1].nested_type if len(blocks) > 1 else blocks[-1].message_type
            blocks.append(nested.add(name=item["block_name"]))
        elif item["block"] == "enum":
            blocks.append(blocks[-1].enum_type.add(name=item["block_name"]))
        elif item["block"] == "oneof":
            blocks[-1].oneof_decl.add(name=item["block_name"])
            oneof = True
        elif item["value"]:
            blocks[-1].value.add(name=item["value"], number=int(item["value_number"]))
        elif item["number"]:
            field = _add_field(blocks[-1], item, packed_as_bytes)
            if oneof:
                field.oneof_index = len(blocks[-1].oneof_decl) - 1
        elif item["end"] and oneof:
            oneof = False
        elif item["end"]:
            blocks.pop()
    return files


def _add_field(message: DescriptorProto, item: re.Match[str], packed_as_bytes: bool) -> FieldDescriptorProto:
    name, kind = item["name"], item["type"]
    if item["map"]:  # on the wire, and for protobuf: a repeated message of a key and a value
        entry = message.nested_type.add(
            name=f"{name.title().replace('_', '')}Entry", options={"map_entry": True}
        )
        _set_type(entry.field.add(name="key", number=1), "string")
        _set_type(entry.field.add(name="value", number=2), kind)
        kind = entry.name
    field = message.field.add(name=name, number=int(item["number"]))
    if packed_as_bytes and message.name == "TensorProto" and item["repeated"]:
        kind = "bytes"
    _set_type(field, kind)
    if item["repeated"] or item["map"]:
        field.label = type(field).LABEL_REPEATED
    return field


def _set_type(field: FieldDescriptorProto, kind: str) -> None:
    field.label = type(field).LABEL_OPTIONAL
    if kind.islower():
        field.type = getattr(type(field), f"TYPE_{kind.upper()}")
    else:
        field.type_name = kind  # of a message or an enum, which the pool finds out
