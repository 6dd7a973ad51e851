"""Large values taken from the wire: the same arrays, or the same refusal, as without."""

from __future__ import annotations

import tracemalloc
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from slimserve import ServerError
from slimserve.wire import lifting
from slimserve.wire.messages import predict_response
from tensorflow_serving.apis import predict_pb2

from tests.unit.client.test_client_decoding import official, proto, small_tensors


def outcome(data: bytes, large: int) -> list[tuple[str, str, list[object]]] | str:
    """What is read when tensors count as large from that size on: arrays, or the error."""
    with mock.patch.object(lifting, "LARGE", large):
        try:
            outputs = predict_response(data).outputs
        except ServerError as error:
            return str(error).split(":")[0]
    return sorted((name, str(array.dtype), str(array.tolist())) for name, array in outputs.items())


def framed(field: int, value: bytes) -> bytes:
    return bytes([field << 3 | 2]) + len(value).to_bytes(1, "little") + value


keys = st.sampled_from([b"a", b"b", "ü".encode(), b"\xff"])
entries = st.tuples(keys, small_tensors.map(lambda tensor: tensor.SerializeToString()))
# Unpacked values, values in pieces, another type, groups, and bytes that are no field.
odd_fields = st.sampled_from(
    [
        *[b"\x28\x01", b"\x2d\0\0\x80\x3f", b"\x2a\x04\0\0\x80\x3f", b"\x3a\x01\x05", b"\x22\x01\x07"],
        *[b"\x08\x03", b"\x6b\x6c", b"\x07"],
    ]
)


@given(st.lists(entries, max_size=3), st.lists(odd_fields, max_size=2), st.booleans())
def test_any_response_reads_the_same_with_and_without(
    tensors: list[tuple[bytes, bytes]], odd: list[bytes], reversed_entry: bool
) -> None:
    data = b""
    for key, tensor in tensors:
        whole = (tensor + b"".join(odd))[:100]
        fields = [framed(1, key), framed(2, whole)]
        data += framed(1, b"".join(fields[::-1] if reversed_entry else fields))
    assert outcome(data, 0) == outcome(data, 1 << 30)


@given(st.binary(max_size=80))
def test_any_bytes_read_the_same_with_and_without(data: bytes) -> None:
    assert outcome(data, 0) == outcome(data, 1 << 30)


@pytest.mark.parametrize("content", [False, True], ids=["typed", "content"])
@pytest.mark.parametrize("dtype", [tf.float32, tf.float64, tf.uint8, tf.uint16, tf.int64, tf.bool, tf.half])
def test_large_tensors_read_as_in_tensorflow(dtype: tf.DType, content: bool) -> None:
    array = (
        np.random.default_rng(0)
        .integers(0, 2 if dtype == tf.bool else 200, (3, 50_000))
        .astype(dtype.as_numpy_dtype)
    )
    tensor = proto(dtype.as_datatype_enum, [3, 50_000])
    field = {tf.float32: "float_val", tf.float64: "double_val", tf.int64: "int64_val", tf.bool: "bool_val"}
    if content:
        tensor.tensor_content = array.tobytes()
    elif dtype == tf.half:
        tensor.half_val.extend(array.view(np.uint16).ravel().tolist())
    else:
        getattr(tensor, field.get(dtype, "int_val")).extend(array.ravel().tolist())
    response = predict_pb2.PredictResponse(outputs={"large": tensor, "small": proto(1, [1], float_val=[2])})
    outputs = predict_response(response.SerializeToString()).outputs
    np.testing.assert_array_equal(outputs["large"], official(tensor))
    assert outputs["small"].tolist() == [2]


def test_large_strings_read_as_in_tensorflow() -> None:
    strings = [b"x" * 70_000, b"", b"y" * 3]
    for tensor in (
        proto(7, [3], string_val=strings),
        proto(7, [3], tensor_content=b"\xf0\xa2\x04\0\x03" + b"".join(strings)),
    ):
        response = predict_pb2.PredictResponse(outputs={"png": tensor})
        assert predict_response(response.SerializeToString()).outputs["png"].tolist() == strings


@pytest.mark.parametrize("field", ["float_val", "tensor_content"])
def test_floats_are_not_copied(field: str) -> None:
    values = np.ones(1 << 20, np.float32)
    given = (
        {"tensor_content": values.tobytes()} if field == "tensor_content" else {"float_val": values.tolist()}
    )
    data = predict_pb2.PredictResponse(outputs={"y": proto(1, [1 << 20], **given)}).SerializeToString()
    tracemalloc.start()
    array = predict_response(data).outputs["y"]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 16
    assert not array.flags.writeable
    np.testing.assert_array_equal(array, values)
