"""The gRPC methods: PredictionService and ModelService of TensorFlow Serving.

Methods that are not here answer UNIMPLEMENTED, which is gRPC's own answer to an unknown method.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc
from google.protobuf.message import Message
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_pb2,
    predict_pb2,
)

from serving_config.engine import rpc_error
from serving_config.engine.classify import classify
from serving_config.engine.manager import Manager
from serving_config.engine.predict import predict
from serving_config.engine.servable import Servable

log = logging.getLogger(__name__)

_SIGNATURE_DEF = "signature_def"
_Behaviour = Callable[[Any, grpc.ServicerContext], Any]


def handlers(
    manager: Manager, tensor_content: bool, max_requests: int | None = None
) -> "list[grpc.GenericRpcHandler[Any, Any]]":
    """The handlers to add to a gRPC server.

    Args:
        tensor_content: encode the outputs of Predict as raw bytes instead of typed fields.
        max_requests: how many Predict and Classify requests run at once, the others waiting for their turn
            within their deadlines; None for no bound.
    """
    slots = _Slots(max_requests)

    @contextlib.contextmanager
    def servable(request: Any, context: grpc.ServicerContext) -> Iterator[Servable]:
        _require_model_spec(request)
        with slots.taken(context), manager.servable(request.model_spec) as found:
            yield found

    def on_predict(request: predict_pb2.PredictRequest, context: grpc.ServicerContext) -> bytes:
        with servable(request, context) as found:
            return predict(found, request, tensor_content)

    def on_classify(request: classification_pb2.ClassificationRequest, context: grpc.ServicerContext) -> Any:
        with servable(request, context) as found:
            return classify(found, request)

    def on_metadata(request: get_model_metadata_pb2.GetModelMetadataRequest, _: grpc.ServicerContext) -> Any:
        _require_model_spec(request)
        return _metadata(manager, request)

    def on_status(request: get_model_status_pb2.GetModelStatusRequest, _: grpc.ServicerContext) -> Any:
        _require_model_spec(request)
        return manager.status(request.model_spec)

    def on_reload(request: model_management_pb2.ReloadConfigRequest, _: grpc.ServicerContext) -> Any:
        manager.reload(request.config)
        response = model_management_pb2.ReloadConfigResponse()
        response.status.SetInParent()
        return response

    prediction = {
        "Predict": _method(on_predict, predict_pb2.PredictRequest),
        "Classify": _method(on_classify, classification_pb2.ClassificationRequest),
        "GetModelMetadata": _method(on_metadata, get_model_metadata_pb2.GetModelMetadataRequest),
    }
    model = {
        "GetModelStatus": _method(on_status, get_model_status_pb2.GetModelStatusRequest),
        "HandleReloadConfigRequest": _method(on_reload, model_management_pb2.ReloadConfigRequest),
    }
    return [
        grpc.method_handlers_generic_handler("tensorflow.serving.PredictionService", prediction),
        grpc.method_handlers_generic_handler("tensorflow.serving.ModelService", model),
    ]


class _Slots:
    """A bound on the requests that run at once; a request whose deadline has passed is not started."""

    def __init__(self, count: int | None) -> None:
        self._free = threading.BoundedSemaphore(count) if count else None

    @contextlib.contextmanager
    def taken(self, context: grpc.ServicerContext) -> Iterator[None]:
        remaining = context.time_remaining()
        got = self._free is None or self._free.acquire(timeout=remaining)
        try:
            if not got or (remaining is not None and context.time_remaining() <= 0):
                raise rpc_error.RpcError(
                    grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline passed before the start"
                )
            if not context.is_active():
                raise rpc_error.RpcError(grpc.StatusCode.CANCELLED, "Cancelled before the start")
            yield
        finally:
            if got and self._free is not None:
                self._free.release()


def _method(behaviour: _Behaviour, request: type[Message]) -> "grpc.RpcMethodHandler[Any, Any]":
    def answer(message: Any, context: grpc.ServicerContext) -> Any:
        try:
            return behaviour(message, context)
        except rpc_error.RpcError as error:
            context.abort(error.code, error.details)
        except Exception as error:
            log.exception("a request failed inside the engine")
            context.abort(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}"[:1024])

    return grpc.unary_unary_rpc_method_handler(
        answer,
        request_deserializer=request.FromString,
        response_serializer=lambda reply: reply if isinstance(reply, bytes) else reply.SerializeToString(),
    )


def _require_model_spec(request: Any) -> None:
    if not request.HasField("model_spec"):
        raise rpc_error.invalid_argument("Missing ModelSpec")


def _metadata(
    manager: Manager, request: get_model_metadata_pb2.GetModelMetadataRequest
) -> get_model_metadata_pb2.GetModelMetadataResponse:
    """The signatures (get_model_metadata_impl.cc)."""
    if not request.metadata_field:
        raise rpc_error.invalid_argument("GetModelMetadataRequest must specify at least one metadata_field")
    for name in request.metadata_field:
        if name != _SIGNATURE_DEF:
            raise rpc_error.invalid_argument(f"Metadata field {name} is not supported")
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    with manager.servable(request.model_spec) as servable:
        signatures = get_model_metadata_pb2.SignatureDefMap()
        for name, signature in servable.signatures.items():
            signatures.signature_def[name].CopyFrom(signature)
        response.model_spec.CopyFrom(model_pb2.ModelSpec(name=servable.name))
        response.model_spec.version.value = servable.version
        response.metadata[_SIGNATURE_DEF].Pack(signatures)
    return response
