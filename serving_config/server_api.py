"""A caller of TensorFlow Serving's ModelService and of grpc.health.v1, without TensorFlow.

The stubs of tensorflow-serving-api import all of TensorFlow for the sake of one enum, seconds and hundreds of
megabytes that an operator's machine should not need. The few messages are stated here, with the field
numbers of apis/model.proto, get_model_status.proto, get_model_metadata.proto, model_management.proto and
util/status.proto, under a package of our own, so that both can live in one process.
"""

import time
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf.message import Message
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from .errors import ServingConfigError

_PACKAGE = "serving_config.server_api"
_PROTO = """
name: "serving_config/model_service.proto" package: "serving_config.server_api" syntax: "proto3"
message_type { name: "Version" field { name: "value" number: 1 type: TYPE_INT64 } }
message_type { name: "ModelSpec"
  field { name: "name" number: 1 type: TYPE_STRING }
  field { name: "version" number: 2 type: TYPE_MESSAGE type_name: "Version" }
  field { name: "version_label" number: 4 type: TYPE_STRING } }
message_type { name: "GetModelStatusRequest"
  field { name: "model_spec" number: 1 type: TYPE_MESSAGE type_name: "ModelSpec" } }
message_type { name: "Status"
  field { name: "error_code" number: 1 type: TYPE_INT32 }
  field { name: "error_message" number: 2 type: TYPE_STRING } }
message_type { name: "ModelVersionStatus"
  field { name: "version" number: 1 type: TYPE_INT64 }
  field { name: "state" number: 2 type: TYPE_INT32 }
  field { name: "status" number: 3 type: TYPE_MESSAGE type_name: "Status" } }
message_type { name: "GetModelStatusResponse"
  field { name: "model_version_status" number: 1 type: TYPE_MESSAGE label: LABEL_REPEATED
          type_name: "ModelVersionStatus" } }
message_type { name: "GetModelMetadataRequest"
  field { name: "model_spec" number: 1 type: TYPE_MESSAGE type_name: "ModelSpec" }
  field { name: "metadata_field" number: 2 type: TYPE_STRING label: LABEL_REPEATED } }
message_type { name: "GetModelMetadataResponse"
  field { name: "model_spec" number: 1 type: TYPE_MESSAGE type_name: "ModelSpec" } }
message_type { name: "ReloadConfigRequest" field { name: "config" number: 1 type: TYPE_BYTES } }
message_type { name: "ReloadConfigResponse" }
message_type { name: "HealthCheckRequest" field { name: "service" number: 1 type: TYPE_STRING } }
message_type { name: "HealthCheckResponse" field { name: "status" number: 1 type: TYPE_INT32 } }
"""
_STATES = {0: "UNKNOWN", 10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}
_SERVING = 1
# Several times the interval at which TensorFlow Serving looks at the disk.
_STALE_SECONDS = 5.0


@dataclass(frozen=True)
class VersionStatus:
    """One version of a model as the server has it: `state` is a name of get_model_status.proto."""

    version: int
    state: str
    error: str = ""


@dataclass(frozen=True)
class Tls:
    """PEM text: `ca` to know the server by; `certificate` and `key` for a server that asks for them."""

    ca: bytes | None = None
    certificate: bytes | None = None
    key: bytes | None = field(default=None, repr=False)


class ModelService:
    """One server. Every call raises ServingConfigError with the server's own words.

    Args:
        address: HOST:PORT.
        tls: None for plaintext.
        timeout: seconds for each call.
    """

    def __init__(self, address: str, tls: Tls | None = None, timeout: float = 10.0) -> None:
        self.address = address
        self._timeout = timeout
        if tls is None:
            self._channel = grpc.insecure_channel(address)
        else:
            credentials = grpc.ssl_channel_credentials(tls.ca, tls.key, tls.certificate)
            self._channel = grpc.secure_channel(address, credentials)

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def healthy(self) -> bool:
        """Whether the server answers grpc.health.v1 with SERVING; True where it has no such service."""
        try:
            answer = self._call("/grpc.health.v1.Health/Check", "HealthCheckRequest", "HealthCheckResponse")
        except grpc.RpcError as error:
            return bool(error.code() == grpc.StatusCode.UNIMPLEMENTED)
        return bool(answer.status == _SERVING)

    def versions(self, model: str) -> list[VersionStatus]:
        """The versions that the server has or has had, newest first; none for a model it does not know."""
        spec = {"model_spec": {"name": model}}
        try:
            answer = self._call(
                "/tensorflow.serving.ModelService/GetModelStatus",
                "GetModelStatusRequest",
                "GetModelStatusResponse",
                **spec,
            )
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.NOT_FOUND:
                return []
            raise self._failure("GetModelStatus", error) from error
        return [
            VersionStatus(entry.version, _STATES.get(entry.state, "UNKNOWN"), entry.status.error_message)
            for entry in answer.model_version_status
        ]

    def available(self, model: str) -> list[int]:
        """The versions that answer now, in rising order."""
        return sorted(status.version for status in self.versions(model) if status.state == "AVAILABLE")

    def labelled(self, model: str, label: str) -> int | None:
        """The version that answers to a label now; None where the label is unknown or its version not AVAILABLE.

        No call lists labels: this asks for the signatures under one, and reads which version they are of.
        """
        try:
            answer = self._call(
                "/tensorflow.serving.PredictionService/GetModelMetadata",
                "GetModelMetadataRequest",
                "GetModelMetadataResponse",
                model_spec={"name": model, "version_label": label},
                metadata_field=["signature_def"],
            )
        except grpc.RpcError as error:
            if error.code() in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND):
                return None
            raise self._failure("GetModelMetadata", error) from error
        return int(answer.model_spec.version.value)

    def reload(self, config: ModelServerConfig) -> None:
        """Replace the server's whole list of models."""
        try:
            self._call(
                "/tensorflow.serving.ModelService/HandleReloadConfigRequest",
                "ReloadConfigRequest",
                "ReloadConfigResponse",
                config=config.SerializeToString(),
            )
        except grpc.RpcError as error:
            raise self._failure("HandleReloadConfigRequest", error) from error

    def wait_available(
        self, model: str, version: int, timeout: float, before: VersionStatus | None = None
    ) -> None:
        """Return when the version answers.

        Args:
            before: its status before it was asked for. A server that polls goes on showing the end of an
                earlier attempt for a while.

        Raises:
            ServingConfigError: it has ended with an error, or `timeout` seconds are over.
        """
        start = time.monotonic()
        while True:
            status = next((s for s in self.versions(model) if s.version == version), None)
            elapsed = time.monotonic() - start
            if status is not None and status.state == "AVAILABLE":
                return
            stale = status == before and elapsed < _STALE_SECONDS
            if status is not None and status.state == "END" and status.error and not stale:
                raise ServingConfigError(f"{model} version {version} does not load: {status.error}")
            if elapsed > timeout:
                state = status.state if status else "not seen by the server"
                raise ServingConfigError(
                    f"{model} version {version} is not AVAILABLE after {timeout:g} s ({state}): "
                    "look at the server's log, or wait longer with --timeout"
                )
            time.sleep(0.1)

    def _call(self, method: str, request: str, response: str, **fields: Any) -> Any:
        call = self._channel.unary_unary(
            method,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=_message(response).FromString,
        )
        return call(_message(request)(**fields), timeout=self._timeout)

    def _failure(self, method: str, error: grpc.RpcError) -> ServingConfigError:
        code, details = error.code(), " ".join((error.details() or "").split())
        if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
            return ServingConfigError(
                f"no server answers at {self.address} ({details}): start one with "
                "`python -m serving_config up`, or name another with --server"
            )
        return ServingConfigError(f"{self.address} refuses {method}: {code.name}: {details}")


def _pool() -> descriptor_pool.DescriptorPool:
    stated = text_format.Parse(_PROTO, descriptor_pb2.FileDescriptorProto())
    for message in stated.message_type:
        for stated_field in message.field:
            if not stated_field.HasField("label"):
                stated_field.label = descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL
    pool = descriptor_pool.DescriptorPool()
    pool.Add(stated)
    return pool


_POOL = _pool()


def _message(name: str) -> type[Message]:
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
