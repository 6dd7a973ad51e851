"""What a server says about a model: its versions and their states, its signatures."""

from __future__ import annotations

from dataclasses import dataclass


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


@dataclass(frozen=True)
class ModelMetadata:
    """A model's name, the version that answered, and its signatures by name."""

    name: str
    version: int
    signatures: dict[str, Signature]
