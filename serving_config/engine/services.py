"""The gRPC methods: PredictionService and ModelService of TensorFlow Serving.

Methods that are not here answer UNIMPLEMENTED, which is gRPC's own answer to an unknown method.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message

from ..server.protocol import (
    ClassificationRequest,
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    GetModelStatusRequest,
    PredictRequest,
    ReloadConfigRequest,
    ReloadConfigResponse,
    SignatureDefMap,
)
from . import rpc_error
from .admission import Admission
from .manager import Manager
from .model.classify import classify
from .model.predict import predict
from .model.servable import Servable

log = logging.getLogger(__name__)

_SIGNATURE_DEF = "signature_def"
_Behaviour = Callable[[Any, grpc.ServicerContext], Any]


def handlers(
    manager: Manager, admission: Admission, tensor_content: bool
) -> "list[grpc.GenericRpcHandler[Any, Any]]":
    """The handlers to add to a gRPC server.

    Args:
        admission: which Predict and Classify requests are taken on, and when they run. The others, all light,
            are answered whatever the load.
        tensor_content: encode the outputs of Predict as raw bytes instead of typed fields.
    """

    @contextlib.contextmanager
    def servable(request: Any, context: grpc.ServicerContext) -> Iterator[Servable]:
        _require_model_spec(request)
        with manager.servable(request.model_spec) as found, admission.turn(context):
            yield found

    def on_predict(request: PredictRequest, context: grpc.ServicerContext) -> bytes:
        with servable(request, context) as found:
            return predict(found, request, tensor_content)

    def on_classify(request: ClassificationRequest, context: grpc.ServicerContext) -> Any:
        with servable(request, context) as found:
            return classify(found, request)

    def on_metadata(request: GetModelMetadataRequest, _: grpc.ServicerContext) -> Any:
        _require_model_spec(request)
        return _metadata(manager, request)

    def on_status(request: GetModelStatusRequest, _: grpc.ServicerContext) -> Any:
        _require_model_spec(request)
        return manager.status(request.model_spec)

    def on_reload(request: ReloadConfigRequest, _: grpc.ServicerContext) -> Any:
        manager.reload(request.config)
        response = ReloadConfigResponse()
        response.status.SetInParent()
        return response

    # A reload takes as long as a model takes to load, and reloads take turns in any case.
    reloads = futures.ThreadPoolExecutor(1, thread_name_prefix="reload")
    predictions = {
        "Predict": _method(on_predict, PredictRequest, admission.pool),
        "Classify": _method(on_classify, ClassificationRequest, admission.pool),
        "GetModelMetadata": _method(on_metadata, GetModelMetadataRequest),
    }
    models = {
        "GetModelStatus": _method(on_status, GetModelStatusRequest),
        "HandleReloadConfigRequest": _method(on_reload, ReloadConfigRequest, reloads),
    }
    return [
        grpc.method_handlers_generic_handler("tensorflow.serving.PredictionService", predictions),
        grpc.method_handlers_generic_handler("tensorflow.serving.ModelService", models),
    ]


def _method(
    behaviour: _Behaviour, request: type[Message], pool: futures.ThreadPoolExecutor | None = None
) -> "grpc.RpcMethodHandler[Any, Any]":
    """The handler that answers with `behaviour`, in the threads of `pool` instead of the server's."""

    def answer(message: bytes, context: grpc.ServicerContext) -> Any:
        try:
            return behaviour(_parsed(message, request), context)
        except rpc_error.RpcError as error:
            context.abort(error.code, error.details)
        except Exception as error:
            log.exception("a request failed inside the engine")
            context.abort(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}"[:1024])

    answer.experimental_thread_pool = pool  # type: ignore[attr-defined]
    return grpc.unary_unary_rpc_method_handler(
        answer,
        # Not gRPC: it keeps each call whose message it cannot parse for good (17 kB in grpcio 1.85).
        request_deserializer=None,
        response_serializer=lambda reply: reply if isinstance(reply, bytes) else reply.SerializeToString(),
    )


def _parsed(message: bytes, kind: type[Message]) -> Any:
    try:
        return kind.FromString(message)
    except DecodeError as error:
        raise rpc_error.RpcError(
            grpc.StatusCode.INTERNAL, f"the message is no {kind.DESCRIPTOR.full_name}"
        ) from error


def _require_model_spec(request: Any) -> None:
    if not request.HasField("model_spec"):
        raise rpc_error.invalid_argument("Missing ModelSpec")


def _metadata(manager: Manager, request: GetModelMetadataRequest) -> GetModelMetadataResponse:
    """The signatures (get_model_metadata_impl.cc)."""
    if not request.metadata_field:
        raise rpc_error.invalid_argument("GetModelMetadataRequest must specify at least one metadata_field")
    for name in request.metadata_field:
        if name != _SIGNATURE_DEF:
            raise rpc_error.invalid_argument(f"Metadata field {name} is not supported")
    response = GetModelMetadataResponse()
    with manager.servable(request.model_spec) as servable:
        signatures = SignatureDefMap()
        for name, signature in servable.signatures.items():
            # TensorFlow's own message, with more fields than are stated here: they pass through as unknown ones.
            signatures.signature_def[name].MergeFromString(signature.SerializeToString())
        response.model_spec.name = servable.name
        response.model_spec.version.value = servable.version
        response.metadata[_SIGNATURE_DEF].Pack(signatures)
    return response
