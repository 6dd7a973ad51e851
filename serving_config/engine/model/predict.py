"""Predict on one servable (predict_util.cc of TensorFlow Serving; GetInputValues of TensorFlow)."""

from collections.abc import Iterable

from tensorflow.core.protobuf import meta_graph_pb2

from ...server.protocol import ModelSpec, PredictRequest, PredictResponse
from .. import rpc_error
from . import tensors, wire
from .servable import Servable

DEFAULT_SIGNATURE = "serving_default"
_OUTPUTS, _MODEL_SPEC = (
    PredictResponse.DESCRIPTOR.fields_by_name[name].number for name in ("outputs", "model_spec")
)
_KEY, _VALUE = 1, 2


def predict(servable: Servable, request: PredictRequest, tensor_content: bool) -> bytes:
    """The serialized PredictResponse.

    Args:
        tensor_content: encode outputs as raw bytes instead of typed fields
            (`--enable_serialization_as_tensor_content`).

    Raises:
        RpcError: as TensorFlow Serving answers.
    """
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    if name not in servable.signatures:
        raise rpc_error.failed_precondition(f'Serving signature key "{name}" not found.')
    signature = servable.signatures[name]
    feeds = _feeds(signature, request)
    aliases = _output_aliases(signature, request.output_filter)
    fetches = [signature.outputs[alias].name for alias in aliases]
    values = servable.run(feeds, fetches)

    chunks: list[wire.Chunk] = []
    for alias, fetch, value in zip(aliases, fetches, values, strict=True):
        dtype = servable.dtype(fetch).as_datatype_enum
        key = wire.field(_KEY, [alias.encode()])
        tensor = wire.field(_VALUE, tensors.encode(value, dtype, tensor_content))
        chunks += wire.field(_OUTPUTS, key + tensor)
    spec = model_spec(servable, name).SerializeToString()
    return b"".join(chunks + wire.field(_MODEL_SPEC, [spec]))


def model_spec(servable: Servable, signature_name: str) -> ModelSpec:
    """Which model, version and signature answered."""
    version = {"value": servable.version}
    return ModelSpec(name=servable.name, version=version, signature_name=signature_name)


def _feeds(signature: meta_graph_pb2.SignatureDef, request: PredictRequest) -> dict[str, tensors.Array]:
    given, wanted = set(request.inputs), set(signature.inputs)
    if len(given) > len(wanted) or (len(given) < len(wanted) and not signature.defaults):
        raise rpc_error.invalid_argument(
            f"input size does not match signature: {len(given)}!={len(wanted)} "
            f"len({_braces(given)}) != len({_braces(wanted)}). "
            f"Sent extra: {_braces(given - wanted)}. Missing but required: {_braces(wanted - given)}."
        )
    feeds = {}
    for alias in sorted(wanted):
        feed = signature.inputs[alias].name
        if alias in given:
            proto = request.inputs[alias]
        elif alias in signature.defaults:
            proto = signature.defaults[alias]
        else:
            raise rpc_error.invalid_argument(
                f"Signature input alias: {alias}(feed name: {feed}) not found in request and no default "
                f"value provided. Inputs expected to be in the request {_braces(given)}, "
                f"or default input alias set: {','.join(sorted(signature.defaults))}"
            )
        try:
            feeds[feed] = tensors.decode(proto)
        except ValueError as error:
            raise rpc_error.invalid_argument(f"tensor parsing error: {alias}") from error
    return feeds


def _output_aliases(signature: meta_graph_pb2.SignatureDef, output_filter: Iterable[str]) -> list[str]:
    aliases: list[str] = []
    for alias in output_filter:
        if alias not in signature.outputs:
            raise rpc_error.invalid_argument(
                f"output tensor alias not found in signature: {alias} "
                f"Outputs expected to be in the set {_braces(signature.outputs)}."
            )
        if alias in aliases:
            raise rpc_error.invalid_argument(f"duplicate output tensor alias: {alias}")
        aliases.append(alias)
    return aliases or sorted(signature.outputs)


def _braces(names: Iterable[str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"
