"""A server answers as TensorFlow Serving 2.20.0 did: tests/contract/recorded holds what was recorded from it."""

import base64
import functools
import json
import re

import grpc
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf.message import Message
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    predict_pb2,
)

from tests.support.recorded import RECORDED
from tests.support.tensors import values

RESPONSES = {
    "Predict": predict_pb2.PredictResponse,
    "Classify": classification_pb2.ClassificationResponse,
    "GetModelMetadata": get_model_metadata_pb2.GetModelMetadataResponse,
    "GetModelStatus": get_model_status_pb2.GetModelStatusResponse,
    "HandleReloadConfigRequest": model_management_pb2.ReloadConfigResponse,
}


def cases(name: str) -> list:
    lines = (RECORDED / name).read_text().splitlines()
    return [pytest.param(case, id=case["name"]) for case in map(json.loads, lines)]


def without_locations(message: str) -> str:
    return re.sub(r"\n\t \[\[\{\{node [^\]]*\}\}\]\]", "", message)


def canonical(method: str, response: bytes) -> bytes:
    """The response with its maps in order, all else as it came: fields used, NaNs by their bits.

    The scores of Classify are left out: they come from a softmax, whose last bits depend on the vector width
    of the machine; `scores` has them.
    """
    message = RESPONSES[method].FromString(response)
    for entry in classes(message):
        entry.ClearField("score")
    for packed in getattr(message, "metadata", {}).values():
        signatures = get_model_metadata_pb2.SignatureDefMap.FromString(packed.value)
        packed.value = signatures.SerializeToString(deterministic=True)
    return message.SerializeToString(deterministic=True)


def classes(message: Message) -> list[classification_pb2.Class]:
    if not isinstance(message, classification_pb2.ClassificationResponse):
        return []
    return [entry for ranked in message.result.classifications for entry in ranked.classes]


def scores(method: str, response: bytes) -> np.ndarray:
    return np.array([entry.score for entry in classes(RESPONSES[method].FromString(response))], np.float32)


def softmax_rounding(scores: np.ndarray) -> np.ndarray:
    """How far two float32 softmaxes may lie apart, as a fraction of each score, on any two processors.

    Each side rounds the distance to the largest logit, the exponentials (to two units in the last place), their sum and
    the quotient.
    """
    distance = -np.log(np.maximum(scores, np.finfo(np.float32).tiny), dtype=np.float64)
    return 2 * np.finfo(np.float32).eps * (distance / 2 + 4 + len(scores) / 2 + 0.5)


def by_value(method: str, response: bytes) -> bytes:
    """The response with every tensor of a prediction in one form: a server chooses between values and their bytes."""
    message = RESPONSES[method].FromString(response)
    for tensor in getattr(message, "outputs", {}).values():
        held = values(tensor)
        whole = TensorProto(dtype=tensor.dtype, tensor_shape=tensor.tensor_shape)
        if tensor.dtype == tf.string.as_datatype_enum:
            whole.string_val.extend(held.ravel())
        else:
            whole.tensor_content = held.tobytes()
        tensor.CopyFrom(whole)
    return message.SerializeToString()


@functools.cache
def answers_with_tensor_content(address: str) -> bool:
    """The form in which a server answers."""
    (case,) = (case.values[0] for case in cases("cases.jsonl") if case.values[0]["name"] == "predict/default")
    with grpc.insecure_channel(address) as channel:
        answer = channel.unary_unary(case["rpc"])(base64.b64decode(case["request"]), timeout=30)
    return all(
        tensor.tensor_content for tensor in predict_pb2.PredictResponse.FromString(answer).outputs.values()
    )


def check(case: dict, address: str, *, tensor_content: bool) -> None:
    method = case["rpc"].rsplit("/", 1)[1]
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(case["rpc"])
        try:
            code, message = "OK", ""
            response = call(base64.b64decode(case["request"]), timeout=30)
        except grpc.RpcError as error:
            code, message, response = error.code().name, error.details(), b""
    assert (code, without_locations(message)) == (case["code"], without_locations(case["message"]))
    recorded = base64.b64decode(case["response"])
    if answers_with_tensor_content(address) != tensor_content:
        response, recorded = by_value(method, response), by_value(method, recorded)
    assert canonical(method, response) == canonical(method, recorded)
    found, expected = scores(method, response), scores(method, recorded)
    assert (np.abs(found - expected) <= softmax_rounding(expected) * expected).all()


@pytest.mark.parametrize("case", cases("cases.jsonl"))
def test_answers_as_recorded(case: dict, server: str) -> None:
    check(case, server, tensor_content=False)


@pytest.mark.parametrize("case", cases("cases_tensor_content.jsonl"))
def test_answers_as_recorded_with_tensor_content(case: dict, server_of_tensor_content: str) -> None:
    check(case, server_of_tensor_content, tensor_content=True)
