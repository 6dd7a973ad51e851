"""Responses of any bytes, read by the client: as TensorFlow reads them, or refused by an error of the client's own."""

from __future__ import annotations

import contextlib
import math
import random
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf
from google.protobuf.message import DecodeError, Message
from slimserve import Client, ServerError, ServingError
from slimserve.wire import described, lifting, messages
from slimserve.wire.dtypes import ELEMENT_TYPES
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2

from tests.robustness.attacks.fuzzing import fuzz
from tests.robustness.attacks.wire_messages import BYTES, damaged, message, tagged
from tests.support.recorded import recorded_cases
from tests.unit.client.conftest import (
    GET_MODEL_METADATA,
    GET_MODEL_STATUS,
    PREDICT,
    ScriptedServer,
    predict_answer,
)

Array = npt.NDArray[Any]

LARGEST = 1 << 16  # elements of a tensor that TensorFlow is asked to read
FEW, MANY = 250, 3400  # six tests, or twice as many: 1,500 responses, or 20,000
WORDS = {
    "key": [b"y", b"class_ids", b"class_names", b"scores", b"label_map", b"label_png", b"signature_def"],
    "type_url": [b"type.googleapis.com/tensorflow.serving.SignatureDefMap"],
    "tensor_content": [b"", bytes(4), bytes(8), bytes(range(16)), b"\1\2abc"],
}
RECORDED = [
    case.response
    for file in ("cases.jsonl", "cases_tensor_content.jsonl")
    for case in recorded_cases(file)
    if case.rpc == PREDICT
]


def answer(source: random.Random) -> bytes:
    """A PredictResponse."""
    kind = source.randrange(5)
    if kind == 0:
        data = message(source, predict_pb2.PredictResponse.DESCRIPTOR, WORDS)
    elif kind == 1:
        data = source.choice(RECORDED)
    elif kind == 2:
        data = source.choice(RECORDED) + source.choice(RECORDED)
    else:
        tensor = message(source, tensor_pb2.TensorProto.DESCRIPTOR, WORDS)
        data = tagged(1, BYTES, tagged(1, BYTES, b"y") + tagged(2, BYTES, tensor))
    return damaged(source, data)


def how_much(*seeds: int) -> pytest.MarkDecorator:
    """A sample; with the marker `soak`, many."""
    soak = [pytest.param(MANY, seed, marks=pytest.mark.soak, id=f"soak-{seed}") for seed in seeds]
    return pytest.mark.parametrize(("examples", "seed"), [pytest.param(FEW, 6, id="sample"), *soak])


def as_numpy(array: Array) -> Array:
    """TensorFlow's own element types as the client gives them."""
    if array.dtype.names:  # quantised
        return array.view(array.dtype[0])
    if array.dtype == ml_dtypes.bfloat16:
        return array.astype(np.float32)
    if array.dtype in (ml_dtypes.int4, ml_dtypes.uint4):
        return array.astype(np.int8 if array.dtype == ml_dtypes.int4 else np.uint8)
    return array


def official(tensor: tensor_pb2.TensorProto) -> list[Array | None]:
    """TensorFlow's two readings, in C++ and in Python; None where it refuses."""
    readings: list[Array | None] = []
    if any(dim.size < 0 for dim in tensor.tensor_shape.dim):
        return [None, None]
    if math.prod(dim.size for dim in tensor.tensor_shape.dim) > LARGEST:
        return [None, None]
    for read in (_in_cpp, tf.make_ndarray):
        try:
            readings.append(as_numpy(read(tensor)))
        except (tf.errors.OpError, TypeError, ValueError, OverflowError, IndexError, KeyError):
            readings.append(None)
    return readings


def _in_cpp(tensor: tensor_pb2.TensorProto) -> Array:
    parsed = tf.io.parse_tensor(tensor.SerializeToString(), tf.dtypes.as_dtype(tensor.dtype))
    return np.asarray(parsed.numpy(), object) if parsed.dtype == tf.string else parsed.numpy()


def same(one: Array | None, other: Array | None) -> bool:
    if one is None or other is None:
        return one is other
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    return one.tolist() == other.tolist() if one.dtype == object else one.tobytes() == other.tobytes()


def read(decode: Callable[[bytes], Any], data: bytes) -> Any:
    """What the client makes of the bytes; None where it refuses them."""
    try:
        return decode(data)
    except ServerError:
        return None


def parsed(kind: type[Message], data: bytes) -> Any:
    """What the official parser makes of them; None where it refuses them."""
    try:
        return kind.FromString(data)
    except DecodeError:
        return None


def check_answer(data: bytes) -> None:
    answer, expected = read(messages.predict_response, data), parsed(predict_pb2.PredictResponse, data)
    if expected is None:  # which it may be for a field that the client does not know
        return
    readings = {name: official(tensor) for name, tensor in expected.outputs.items()}
    if answer is None:
        undisputed = all(
            cpp is not None and same(cpp, python) and expected.outputs[name].dtype in ELEMENT_TYPES
            for name, (cpp, python) in readings.items()
        )
        assert not undisputed, "refused, but TensorFlow reads it"
        return
    assert answer.version == expected.model_spec.version.value
    assert answer.outputs.keys() == readings.keys()
    for name, (cpp, python) in readings.items():
        wanted = python if cpp is None else cpp
        assert wanted is None or same(answer.outputs[name], wanted), (name, answer.outputs[name], wanted)


@how_much(1, 2)
@pytest.mark.parametrize("large", [lifting.LARGE, 1], ids=["small", "lifted"])
def test_tensors_are_read_as_tensorflow_reads_them(
    examples: int, seed: int, large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifting, "LARGE", large)
    fuzz(answer, check_answer, examples, seed)


def status(source: random.Random) -> bytes:
    return damaged(source, message(source, get_model_status_pb2.GetModelStatusResponse.DESCRIPTOR, WORDS))


def check_status(data: bytes) -> None:
    states = read(described.status_response, data)
    expected = parsed(get_model_status_pb2.GetModelStatusResponse, data)
    if expected is None:
        return
    assert states is not None
    assert sorted((state.version, state.error_code, state.error_message) for state in states) == sorted(
        (state.version, state.status.error_code, state.status.error_message)
        for state in expected.model_version_status
    )


@how_much(1)
def test_states_are_read_as_protobuf_reads_them(examples: int, seed: int) -> None:
    fuzz(status, check_status, examples, seed)


def check_metadata(data: bytes) -> None:
    metadata = read(described.metadata_response, data)
    expected = parsed(get_model_metadata_pb2.GetModelMetadataResponse, data)
    if expected is None:
        return
    listed = parsed(get_model_metadata_pb2.SignatureDefMap, expected.metadata["signature_def"].value)
    if listed is None:
        return
    assert metadata is not None
    assert metadata.name == expected.model_spec.name
    assert metadata.signatures.keys() == listed.signature_def.keys() - {"__saved_model_init_op"}
    for name, signature in metadata.signatures.items():
        assert signature.inputs.keys() == listed.signature_def[name].inputs.keys()
        assert signature.method == listed.signature_def[name].method_name


@how_much(1)
def test_metadata_are_read_as_protobuf_reads_them(examples: int, seed: int) -> None:
    recorded = [case.response for case in recorded_cases() if case.rpc == GET_MODEL_METADATA]

    def make(source: random.Random) -> bytes:
        kind = source.randrange(3)
        if kind == 0:
            return damaged(source, source.choice(recorded))
        if kind == 1:
            descriptor = get_model_metadata_pb2.GetModelMetadataResponse.DESCRIPTOR
            return damaged(source, message(source, descriptor, WORDS))
        signatures = message(source, get_model_metadata_pb2.SignatureDefMap.DESCRIPTOR, WORDS)
        packed = tagged(2, BYTES, damaged(source, signatures))
        return tagged(2, BYTES, tagged(1, BYTES, b"signature_def") + tagged(2, BYTES, packed))

    fuzz(make, check_metadata, examples, seed)


CALLS: dict[str, Callable[[Client, Array], object]] = {
    "classify": lambda client, image: client.classify(image),
    "segment": lambda client, image: client.segment(image).areas(),
    "segment an encoded image": lambda client, image: client.segment(b"\xff\xd8\xff" + bytes(20)).areas(),
    "analyze": lambda client, image: client.analyze(image),
    "predict": lambda client, image: client.predict({"x": [1.0]}),
    "metadata": lambda client, image: client.metadata(),
    "status": lambda client, image: client.status(),
}


@how_much(1)
def test_a_call_answers_or_raises_a_serving_error(examples: int, seed: int) -> None:
    image = np.zeros((2, 3, 3), np.uint8)
    sound = predict_answer(
        class_ids=np.array([[1, 0]], np.int32),
        class_names=np.array([[b"a", b"b"]]),
        scores=np.array([[0.5, 0.5]], np.float32),
        label_map=np.zeros((1, 2, 3), np.uint8),
    )

    def make(source: random.Random) -> tuple[str, bytes]:
        responses = [answer(source), damaged(source, sound), status(source), source.randbytes(30)]
        return source.choice(list(CALLS)), source.choice(responses)

    def check(drawn: tuple[str, bytes]) -> None:
        call, response = drawn
        for method in (PREDICT, GET_MODEL_METADATA, GET_MODEL_STATUS):
            server.answers[method] = lambda request, context: response
        with contextlib.suppress(ServingError):
            CALLS[call](client, image)

    with (
        contextlib.closing(ScriptedServer()) as server,
        Client(server.address, model="vgg_16", timeout=5) as client,
    ):
        fuzz(make, check, examples, seed)
