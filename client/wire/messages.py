"""Requests and answers of the four calls that the client makes, as bytes on one side and plain data on the other."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy.typing as npt
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from ..errors import ServerError
from ..limits import check_size
from ..types import ModelMetadata, Signature, TensorSpec, VersionStatus
from .decoding import MalformedTensor, decode_tensor
from .dtypes import dtype_name
from .encoding import TensorParts, frame_entry
from .lifting import lift_large_values
from .protocol import message_classes

PREDICT = "/tensorflow.serving.PredictionService/Predict"
GET_MODEL_METADATA = "/tensorflow.serving.PredictionService/GetModelMetadata"
GET_MODEL_STATUS = "/tensorflow.serving.ModelService/GetModelStatus"

_PROTOCOL = message_classes(packed_as_bytes=True)
_INPUTS = _PROTOCOL.PredictRequest.INPUTS_FIELD_NUMBER
# What `slimserve export` names the tensors of `classify` after: the rest of a model's metadata is types and shapes.
_PREPARED = re.compile(r"preprocessing_(\w+)/crop_(\d+)/")
_VALUE_FIELDS = range(5, 18)  # TensorProto's fields of values


class Servable(NamedTuple):
    """Which model, and which of its versions: one by number, one by label, or whatever is newest."""

    model: str
    version: int | None = None
    version_label: str | None = None

    def __str__(self) -> str:
        if self.version is not None:
            return f"version {self.version} of model {self.model!r}"
        if self.version_label is not None:
            return f"version label {self.version_label!r} of model {self.model!r}"
        return f"model {self.model!r}"

    def spec(self, signature: str = "") -> Any:
        """Build the message."""
        spec = _PROTOCOL.ModelSpec(name=self.model, signature_name=signature)
        if self.version is not None:
            spec.version.value = self.version
        elif self.version_label is not None:
            spec.version_label = self.version_label
        return spec


class Answer(NamedTuple):
    """What a Predict call answers: its tensors, and the version of the model that made them."""

    outputs: dict[str, npt.NDArray[Any]]
    version: int


def predict_request(
    servable: Servable, signature: str, inputs: Mapping[str, TensorParts], outputs: Sequence[str] = ()
) -> bytes:
    """Encode a PredictRequest.

    Raises MessageTooLarge before anything is copied.
    """
    request = _PROTOCOL.PredictRequest(model_spec=servable.spec(signature), output_filter=outputs)
    pieces: list[bytes | memoryview] = [request.SerializeToString()]
    for name, tensor in inputs.items():
        check_size(tensor.nbytes)
        pieces += frame_entry(_INPUTS, name, tensor)
    check_size(sum(map(len, pieces)))
    return b"".join(pieces)


def predict_response(data: bytes) -> Answer:
    """Decode a PredictResponse. Raises ServerError when it is malformed."""
    rest, lifted = lift_large_values(data)
    response = _parse(_PROTOCOL.PredictResponse, rest)
    if any(_came_unpacked(tensor) for tensor in response.outputs.values()):
        packed = _parse(message_classes().PredictResponse, data).SerializeToString()
        response, lifted = _parse(_PROTOCOL.PredictResponse, packed), {}
    outputs = {}
    for name, tensor in response.outputs.items():
        try:
            outputs[name] = decode_tensor(tensor, lifted.get(name))
        except MalformedTensor as error:
            raise ServerError(f"the server's answer cannot be read: output {name!r}: {error}") from error
    return Answer(outputs, response.model_spec.version.value)


def _came_unpacked(tensor: Any) -> bool:
    """Tell whether values stand outside the packed fields, where the parser keeps what it does not expect."""
    return any(field.field_number in _VALUE_FIELDS for field in UnknownFieldSet(tensor))  # type: ignore[attr-defined]


def status_request(servable: Servable) -> bytes:
    """Encode a GetModelStatusRequest; a label cannot be asked for, so that asks for all versions."""
    spec = servable._replace(version_label=None).spec()
    request: bytes = _PROTOCOL.GetModelStatusRequest(model_spec=spec).SerializeToString()
    return request


def status_response(data: bytes) -> list[VersionStatus]:
    """Decode a GetModelStatusResponse, newest version first."""
    response = _parse(_PROTOCOL.GetModelStatusResponse, data)
    states = _PROTOCOL.ModelVersionStatus.State
    versions = [
        VersionStatus(
            version=status.version,
            state=states.Name(status.state) if status.state in states.values() else str(status.state),
            error_code=status.status.error_code,
            error_message=status.status.error_message,
        )
        for status in response.model_version_status
    ]
    return sorted(versions, key=lambda status: -status.version)


def metadata_request(servable: Servable) -> bytes:
    """Encode a GetModelMetadataRequest for the signatures, the one field that servers know."""
    message = _PROTOCOL.GetModelMetadataRequest(model_spec=servable.spec(), metadata_field=["signature_def"])
    request: bytes = message.SerializeToString()
    return request


def metadata_response(data: bytes) -> ModelMetadata:
    """Decode a GetModelMetadataResponse. Raises ServerError when it is malformed."""
    response = _parse(_PROTOCOL.GetModelMetadataResponse, data)
    signatures = _parse(_PROTOCOL.SignatureDefMap, response.metadata["signature_def"].value)
    names = [
        signature.outputs["probabilities"].name
        for name, signature in signatures.signature_def.items()
        if name == "classify" and "probabilities" in signature.outputs
    ]
    prepared = _PREPARED.search(" ".join(names))
    return ModelMetadata(
        name=response.model_spec.name,
        version=response.model_spec.version.value,
        signatures={
            name: Signature(
                method=signature.method_name,
                inputs=_specs(signature.inputs),
                outputs=_specs(signature.outputs),
            )
            for name, signature in sorted(signatures.signature_def.items())
            if name != "__saved_model_init_op"
        },
        preprocessing=prepared[1] if prepared else None,
        crop=int(prepared[2]) if prepared else None,
    )


def _specs(tensors: Mapping[str, Any]) -> dict[str, TensorSpec]:
    return {name: TensorSpec(dtype_name(info.dtype), _shape(info)) for name, info in sorted(tensors.items())}


def _shape(info: Any) -> tuple[int | None, ...] | None:
    if info.tensor_shape.unknown_rank:
        return None
    return tuple(dim.size if dim.size >= 0 else None for dim in info.tensor_shape.dim)


def _parse(message_class: Any, data: bytes) -> Any:
    try:
        return message_class.FromString(data)
    except DecodeError as error:
        raise ServerError(f"the server's answer cannot be read: {error}") from error
