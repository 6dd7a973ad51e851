"""A caller of TensorFlow Serving's ModelService and of grpc.health.v1, without TensorFlow."""

import sys
import time
from dataclasses import dataclass, field
from typing import Any

import grpc

from ..errors import COMMAND, ServingConfigError
from . import ports, protocol

# Several times the interval at which TensorFlow Serving looks at the disk.
_STALE_SECONDS = 5.0
# After so long TensorFlow Serving lists a version, if only as one that is loading: it looks at the disk every second.
_LISTED_SECONDS = 20.0
_UNSEEN = (
    "it finds no such folder, or looks at the disk less often; its log names the base path where it looks, "
    "which is the one in models.config"
)
# Between two tries to get into a server that is full.
_FULL_SECONDS = 0.2


@dataclass(frozen=True)
class VersionStatus:
    """One version of a model as the server has it: `state` is a name of get_model_status.proto."""

    version: int
    state: str
    error: str = ""


@dataclass(frozen=True)
class CallerTls:
    """PEM text: `ca` to know the server by; `certificate` and `key` for a server that asks for them."""

    ca: bytes | None = None
    certificate: bytes | None = None
    key: bytes | None = field(default=None, repr=False)


class ModelService:
    """One server. Every call raises ServingConfigError with the server's own words; while it is full, it is repeated.

    Args:
        address: HOST:PORT.
        tls: None for plaintext.
        timeout: seconds for each call.
    """

    def __init__(self, address: str, tls: CallerTls | None = None, timeout: float = 10.0) -> None:
        self.address = address
        self._timeout = timeout
        # A proxy has another idea of what loopback is.
        options = [("grpc.enable_http_proxy", 0)] if ports.is_loopback(address) else []
        if tls is None:
            self._channel = grpc.insecure_channel(address, options)
        else:
            credentials = grpc.ssl_channel_credentials(tls.ca, tls.key, tls.certificate)
            self._channel = grpc.secure_channel(address, credentials, options)

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def healthy(self) -> bool:
        """Whether the server answers grpc.health.v1 with SERVING; True where it has no such service."""
        try:
            answer = self._call("grpc.health.v1.Health/Check", protocol.HealthCheckRequest())
        except grpc.RpcError as error:
            return bool(error.code() == grpc.StatusCode.UNIMPLEMENTED)
        return bool(answer.status == protocol.HealthCheckResponse.SERVING)

    def versions(self, model: str) -> list[VersionStatus]:
        """The versions that the server has or has had, newest first; none for a model it does not know."""
        request = protocol.GetModelStatusRequest(model_spec={"name": model})
        try:
            answer = self._call("tensorflow.serving.ModelService/GetModelStatus", request)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.NOT_FOUND:
                return []
            raise self._failure("GetModelStatus", error) from error
        return [
            VersionStatus(entry.version, _state(entry.state), entry.status.error_message)
            for entry in answer.model_version_status
        ]

    def available(self, model: str) -> list[int]:
        """The versions that answer now, in rising order."""
        return sorted(status.version for status in self.versions(model) if status.state == "AVAILABLE")

    def labelled(self, model: str, label: str) -> int | None:
        """The version that answers to a label now; None where the label is unknown or its version not AVAILABLE.

        No call lists labels: this asks for the signatures under one, and reads which version they are of.
        """
        spec = {"name": model, "version_label": label}
        request = protocol.GetModelMetadataRequest(model_spec=spec, metadata_field=["signature_def"])
        try:
            answer = self._call("tensorflow.serving.PredictionService/GetModelMetadata", request)
        except grpc.RpcError as error:
            if error.code() in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND):
                return None
            raise self._failure("GetModelMetadata", error) from error
        return int(answer.model_spec.version.value)

    def reload(self, config: protocol.ModelServerConfig) -> None:
        """Replace the server's whole list of models."""
        request = protocol.ReloadConfigRequest(config=config)
        try:
            self._call("tensorflow.serving.ModelService/HandleReloadConfigRequest", request)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED and self.healthy():
                raise ServingConfigError(
                    f"{self.address} answers, and does not return from a reload after {self._timeout:g} s. TensorFlow "
                    "Serving waits there for a base path, or for a version of a new model, that it cannot find, and "
                    "every later reload waits behind it: make it appear where the server looks, or restart the server"
                ) from error
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
        noted = False
        while True:
            status = next((s for s in self.versions(model) if s.version == version), None)
            elapsed = time.monotonic() - start
            if status is not None and status.state == "AVAILABLE":
                return
            stale = status == before and elapsed < _STALE_SECONDS
            if status is not None and status.state == "END" and status.error and not stale:
                raise ServingConfigError(f"{model} version {version} does not load: {status.error}")
            if elapsed > timeout:
                if status is None:
                    raise ServingConfigError(
                        f"{self.address} has not listed {model} version {version} after {timeout:g} s: {_UNSEEN}"
                    )
                raise ServingConfigError(
                    f"{model} version {version} is not AVAILABLE after {timeout:g} s ({status.state}): "
                    "look at the server's log, or wait longer with --timeout"
                )
            if status is None and elapsed > _LISTED_SECONDS and not noted:
                noted = True
                seconds = f"{_LISTED_SECONDS:g} s"
                print(
                    f"note: {self.address} does not list {model} version {version} after {seconds}: {_UNSEEN}",
                    file=sys.stderr,
                    flush=True,
                )
            time.sleep(0.1)

    def _call(self, method: str, request: Any) -> Any:
        response = getattr(protocol, type(request).__name__.replace("Request", "Response"))
        call = self._channel.unary_unary(
            f"/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=response.FromString,
        )
        end = time.monotonic() + self._timeout
        while True:
            try:
                return call(request, timeout=max(end - time.monotonic(), 0.01))
            except grpc.RpcError as error:
                # All of its threads are busy: the call was not looked at.
                full = error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
                if not full or time.monotonic() + _FULL_SECONDS > end:
                    raise
            time.sleep(_FULL_SECONDS)

    def _failure(self, method: str, error: grpc.RpcError) -> ServingConfigError:
        code, details = error.code(), " ".join((error.details() or "").split())
        if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
            return ServingConfigError(
                f"no server answers at {self.address} ({details}): start one with "
                f"`{COMMAND} up`, or name another with --server"
            )
        return ServingConfigError(f"{self.address} refuses {method}: {code.name}: {details}")


def _state(number: int) -> str:
    states = protocol.ModelVersionStatus.State
    return states.Name(number) if number in states.values() else "UNKNOWN"
