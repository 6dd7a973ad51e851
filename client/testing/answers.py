"""Requests of the API read, and its answers written: the other side of `wire.messages`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError

from ..errors import InvalidInput
from ..wire.decoding import MalformedTensor, decode_tensor
from ..wire.described import VersionStatus
from ..wire.dtypes import NUMBER_OF_DTYPE, STRING
from ..wire.encoding import frame_entry, tensor_of_array
from ..wire.protocol import message_classes

_PROTOCOL = message_classes(packed_as_bytes=True)
_OUTPUTS = 1  # field of PredictResponse

Specs = Mapping[str, tuple[Any, tuple[int | None, ...]]]
"""Of tensors by name: numpy's type, `str` for strings, and the shape; a dimension of any size is None."""


def read_request(name: str, data: bytes) -> Any:
    """Parse a request message, `name` without "Request". Raises InvalidInput."""
    try:
        return getattr(_PROTOCOL, f"{name}Request").FromString(data)
    except DecodeError as error:
        raise InvalidInput(f"the request cannot be read: {error}") from error


def read_inputs(request: Any) -> dict[str, npt.NDArray[Any]]:
    """Read the tensors of a PredictRequest. Raises InvalidInput."""
    inputs = {}
    for name, tensor in request.inputs.items():
        try:
            inputs[name] = decode_tensor(tensor)
        except MalformedTensor as error:
            raise InvalidInput(f"tensor parsing error: {name}: {error}") from error
    return inputs


def predict_answer(model: str, version: int, signature: str, outputs: Mapping[str, npt.ArrayLike]) -> bytes:
    """Write a PredictResponse of arrays by name; `str` and `bytes` are strings."""
    response = _PROTOCOL.PredictResponse(model_spec=_spec(model, version, signature))
    pieces: list[bytes | memoryview] = [response.SerializeToString()]
    for name, value in outputs.items():
        pieces += frame_entry(_OUTPUTS, name, tensor_of_array(value))
    return b"".join(pieces)


def metadata_answer(model: str, version: int, signatures: Mapping[str, tuple[Specs, Specs]]) -> bytes:
    """Write a GetModelMetadataResponse: signatures by name, each the specifications of its inputs and its outputs."""
    described = _PROTOCOL.SignatureDefMap()
    for name, sides in signatures.items():
        signature = described.signature_def[name]
        signature.method_name = "tensorflow/serving/predict"
        for tensors, specs in zip((signature.inputs, signature.outputs), sides, strict=True):
            for tensor, (dtype, shape) in specs.items():
                tensors[tensor].name = f"{name}_{tensor}:0"
                tensors[tensor].dtype = STRING if dtype is str else NUMBER_OF_DTYPE[np.dtype(dtype)]
                for size in shape:
                    tensors[tensor].tensor_shape.dim.add(size=-1 if size is None else size)
    response = _PROTOCOL.GetModelMetadataResponse(model_spec=_spec(model, version))
    field = response.metadata["signature_def"]
    field.type_url = "type.googleapis.com/tensorflow.serving.SignatureDefMap"
    field.value = described.SerializeToString()
    return bytes(response.SerializeToString())


def status_answer(statuses: list[VersionStatus]) -> bytes:
    """Write a GetModelStatusResponse."""
    response = _PROTOCOL.GetModelStatusResponse()
    states = _PROTOCOL.ModelVersionStatus.State
    for status in statuses:
        added = response.model_version_status.add(version=status.version, state=states.Value(status.state))
        added.status.error_code = status.error_code
        added.status.error_message = status.error_message
    return bytes(response.SerializeToString())


def health_answer() -> bytes:
    """Write a HealthCheckResponse: SERVING, as TensorFlow Serving says whatever happens."""
    return bytes(_PROTOCOL.HealthCheckResponse(status=1).SerializeToString())


def _spec(model: str, version: int, signature: str = "") -> Any:
    return _PROTOCOL.ModelSpec(name=model, version={"value": version}, signature_name=signature)
