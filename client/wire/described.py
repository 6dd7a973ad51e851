"""What a server says of its models: the states of versions, and signatures; the questions, and the answers' types.

Few programs ask, so this is imported when one does: four data classes are 2 ms.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .dtypes import dtype_name
from .messages import Servable, parse
from .protocol import message_classes

GET_MODEL_METADATA = "/tensorflow.serving.PredictionService/GetModelMetadata"

_PROTOCOL = message_classes(packed_as_bytes=True)
# What `slimserve export` names the tensors of `classify` after: the rest of a model's metadata is types and shapes.
_PREPARED = re.compile(r"preprocessing_(\w+)/crop_(\d+)/")


@dataclass(frozen=True)
class VersionStatus:
    """One version of a model on the server (tensorflow_serving/apis/get_model_status.proto).

    `state` is START, LOADING, AVAILABLE, UNLOADING or END; a version that failed to load is at END with a non-zero
    `error_code` (google.rpc.Code) and its message.
    """

    version: int
    state: str
    error_code: int = 0
    error_message: str = ""

    def __str__(self) -> str:
        return f"{self.version} is {self.state}" + (f" ({self.error_message})" if self.error_message else "")


@dataclass(frozen=True)
class TensorSpec:
    """Type and shape of an input or output; a dimension of any size is None, a shape of any rank too."""

    dtype: str
    shape: tuple[int | None, ...] | None

    def __str__(self) -> str:
        if self.shape is None:
            return f"{self.dtype} of any shape"
        return f"{self.dtype} [{', '.join('?' if size is None else str(size) for size in self.shape)}]"


@dataclass(frozen=True)
class Signature:
    """One way to call a model: the method it answers to, and its tensors by name."""

    method: str
    inputs: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]

    def __str__(self) -> str:
        sides = (
            ", ".join(f"{name} {spec}" for name, spec in side.items()) for side in (self.inputs, self.outputs)
        )
        return " -> ".join(sides)


@dataclass(frozen=True)
class ModelMetadata:
    """A model's name, the version that answered, and its signatures by name; `str()` is a line for each.

    Attributes:
        preprocessing: how `classify` prepares an image, "vgg" or "inception", and crop: pixels a side of what it
            classifies; None where the model does not say.
    """

    name: str
    version: int
    signatures: dict[str, Signature]
    preprocessing: str | None = None
    crop: int | None = None

    def __repr__(self) -> str:
        return (
            f"<ModelMetadata: {self.name}, version {self.version}, signatures {', '.join(self.signatures)}>"
        )

    def __str__(self) -> str:
        lines = (f"  {name}: {signature}" for name, signature in self.signatures.items())
        return "\n".join([f"{self.name}, version {self.version}{self.prepared}", *lines])

    @property
    def prepared(self) -> str:
        """What is known of how an image is prepared, to stand behind the version; "" for nothing."""
        if self.preprocessing is None:
            return ""
        return f", {self.preprocessing} preprocessing, crops of {self.crop}x{self.crop} classified"


def status_request(servable: Servable) -> bytes:
    """Encode a GetModelStatusRequest; a label cannot be asked for, so that asks for all versions."""
    spec = servable._replace(version_label=None).spec()
    request: bytes = _PROTOCOL.GetModelStatusRequest(model_spec=spec).SerializeToString()
    return request


def status_response(data: bytes) -> list[VersionStatus]:
    """Decode a GetModelStatusResponse, newest version first."""
    response = parse(_PROTOCOL.GetModelStatusResponse, data)
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
    response = parse(_PROTOCOL.GetModelMetadataResponse, data)
    signatures = parse(_PROTOCOL.SignatureDefMap, response.metadata["signature_def"].value)
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
