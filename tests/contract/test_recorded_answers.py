"""The engine answers as TensorFlow Serving 2.20.0 did: tests/contract/recorded holds what was recorded from it."""

import base64
import json
import re

import grpc
import numpy as np
import pytest
from google.protobuf.message import Message
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    predict_pb2,
)

from tests.support.recorded import RECORDED

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

    The scores of Classify are left out: they come from a softmax, whose last bit depends on the vector width
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


def check(case: dict, address: str) -> None:
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
    assert canonical(method, response) == canonical(method, recorded)
    np.testing.assert_array_max_ulp(scores(method, response), scores(method, recorded), maxulp=4)


@pytest.mark.parametrize("case", cases("cases.jsonl"))
def test_answers_as_recorded(case: dict, conformance_server) -> None:
    check(case, conformance_server.address)


@pytest.mark.parametrize("case", cases("cases_tensor_content.jsonl"))
def test_answers_as_recorded_with_tensor_content(case: dict, conformance_server_tensor_content) -> None:
    check(case, conformance_server_tensor_content.address)
