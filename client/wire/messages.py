"""Predict's requests and answers, as bytes on one side and plain data on the other; which model they are for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy.typing as npt
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from ..errors import ServerError
from ..limits import check_size
from .decoding import MalformedTensor, decode_tensor
from .encoding import TensorParts, frame_entry
from .lifting import lift_large_values
from .protocol import message_classes

PREDICT = "/tensorflow.serving.PredictionService/Predict"
GET_MODEL_STATUS = "/tensorflow.serving.ModelService/GetModelStatus"  # the probe of a connection, too

_PROTOCOL = message_classes(packed_as_bytes=True)
_INPUTS = 2  # field of PredictRequest
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
    response = parse(_PROTOCOL.PredictResponse, rest)
    if any(_came_unpacked(tensor) for tensor in response.outputs.values()):
        packed = parse(message_classes().PredictResponse, data).SerializeToString()
        response, lifted = parse(_PROTOCOL.PredictResponse, packed), {}
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


def parse(message_class: Any, data: bytes) -> Any:
    """Parse a message. Raises ServerError when it is malformed."""
    try:
        return message_class.FromString(data)
    except DecodeError as error:
        raise ServerError(f"the server's answer cannot be read: {error}") from error
