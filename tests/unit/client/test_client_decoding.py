"""Tensors from the wire against TensorFlow's own reading of the same bytes."""

from __future__ import annotations

import contextlib
import tracemalloc

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from slimserve import ServerError
from slimserve.wire.messages import predict_response
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow_serving.apis import predict_pb2

from tests.support.recorded import recorded_cases

ANSWERED = [
    pytest.param(case.response, id=f"{case.name}-{encoding}")
    for encoding, file in (("typed", "cases.jsonl"), ("content", "cases_tensor_content.jsonl"))
    for case in recorded_cases(file)
    if case.code == "OK" and case.rpc.endswith("/Predict")
]


def official(tensor: tensor_pb2.TensorProto) -> np.ndarray:
    """TensorFlow's reading, bfloat16 as float32."""
    parsed = tf.io.parse_tensor(tensor.SerializeToString(), tf.dtypes.as_dtype(tensor.dtype))
    return (tf.cast(parsed, tf.float32) if parsed.dtype == tf.bfloat16 else parsed).numpy()


def respond(tensor: tensor_pb2.TensorProto) -> bytes:
    return predict_pb2.PredictResponse(outputs={"y": tensor}).SerializeToString()


def read(tensor: tensor_pb2.TensorProto) -> np.ndarray:
    return predict_response(respond(tensor)).outputs["y"]


def proto(dtype: int, shape: list[int], **values: object) -> tensor_pb2.TensorProto:
    tensor = tensor_pb2.TensorProto(dtype=dtype, **values)
    for size in shape:
        tensor.tensor_shape.dim.add(size=size)
    return tensor


@pytest.mark.parametrize("response", ANSWERED)
def test_what_tensorflow_serving_answered_reads_as_tensorflow_reads_it(response: bytes) -> None:
    expected = predict_pb2.PredictResponse.FromString(response)
    answer = predict_response(response)
    assert answer.version == expected.model_spec.version.value
    assert answer.outputs.keys() == expected.outputs.keys()
    for name, tensor in expected.outputs.items():
        array = official(tensor)
        assert answer.outputs[name].dtype == array.dtype
        np.testing.assert_array_equal(answer.outputs[name], array)


@pytest.mark.parametrize("content", [False, True], ids=["typed", "content"])
@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        (tf.half, [0.5, -2.0, 65504.0]),
        (tf.bfloat16, [1.5, -3e38, 0.0]),
        (tf.int8, [-128, 0, 127]),
        (tf.int16, [-32768, 7, 32767]),
        (tf.uint16, [0, 300, 65535]),
        (tf.int64, [-(1 << 63), 5, (1 << 63) - 1]),
        (tf.uint64, [0, 1 << 40, (1 << 64) - 1]),
        (tf.bool, [True, False, True]),
        (tf.complex64, [1 + 2j, -3j, 0]),
        (tf.complex128, [1 + 2j, -3j, 0]),
        (tf.string, [b"", "löwe".encode(), b"\x00\xff" * 100]),
    ],
    ids=lambda value: value.name if isinstance(value, tf.DType) else "",
)
def test_every_element_type_in_either_encoding(dtype: tf.DType, values: list[object], content: bool) -> None:
    tensor = proto(dtype.as_datatype_enum, [1, 3])
    if content and dtype == tf.string:
        tensor.tensor_content = bytes(map(len, values[:2])) + b"\xc8\x01" + b"".join(values)
    elif content:
        tensor.tensor_content = np.array(values, dtype.as_numpy_dtype).tobytes()
    else:
        tensor.MergeFrom(_typed(dtype, values))
    np.testing.assert_array_equal(read(tensor), official(tensor))


def _typed(dtype: tf.DType, values: list[object]) -> tensor_pb2.TensorProto:
    array = np.array(values, dtype.as_numpy_dtype)
    parts = (
        [part for value in values for part in (complex(value).real, complex(value).imag)]
        if array.dtype.kind == "c"
        else []
    )
    fields = {
        tf.half: lambda: {"half_val": array.view(np.uint16).tolist()},
        tf.bfloat16: lambda: {"half_val": array.view(np.uint16).tolist()},
        tf.int64: lambda: {"int64_val": values},
        tf.uint64: lambda: {"uint64_val": values},
        tf.bool: lambda: {"bool_val": values},
        tf.string: lambda: {"string_val": values},
        tf.complex64: lambda: {"scomplex_val": parts},
        tf.complex128: lambda: {"dcomplex_val": parts},
    }
    return tensor_pb2.TensorProto(**fields.get(dtype, lambda: {"int_val": values})())


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [(types_pb2.DT_QINT8, np.int8), (types_pb2.DT_QUINT16, np.uint16), (types_pb2.DT_INT4, np.int8)],
)
def test_quantised_and_4_bit_integers_are_the_integers_they_are_stored_in(dtype: int, expected: type) -> None:
    array = read(proto(dtype, [2], int_val=[1, 7]))
    assert array.dtype == expected
    assert array.tolist() == [1, 7]


@pytest.mark.parametrize(
    "tensor",
    [
        proto(types_pb2.DT_FLOAT, [2, 3], float_val=[1.5]),
        proto(types_pb2.DT_FLOAT, [2, 3], float_val=[1.5, 2.5]),
        proto(types_pb2.DT_UINT16, [2, 3], int_val=[700]),
        proto(types_pb2.DT_UINT16, [2, 3], int_val=[700, 1, 2]),
        proto(types_pb2.DT_FLOAT, [2, 3]),
        proto(types_pb2.DT_STRING, [2], string_val=[b"a"]),
        proto(types_pb2.DT_STRING, [2]),
        proto(types_pb2.DT_FLOAT, [0, 3]),
        proto(types_pb2.DT_FLOAT, [], float_val=[3]),
    ],
    ids=["one", "some", "one-varint", "some-varints", "none", "one-string", "no-string", "empty", "scalar"],
)
def test_the_last_value_stands_for_those_that_are_missing(tensor: tensor_pb2.TensorProto) -> None:
    np.testing.assert_array_equal(read(tensor), official(tensor))


@pytest.mark.parametrize(
    "tensor",
    [
        proto(types_pb2.DT_FLOAT, [2], float_val=[1, 2, 3]),
        proto(types_pb2.DT_UINT8, [2], int_val=[1, 2, 3]),
        proto(types_pb2.DT_STRING, [1], string_val=[b"a", b"b"]),
        proto(types_pb2.DT_FLOAT, [2], tensor_content=b"\0" * 7),
        proto(types_pb2.DT_FLOAT, [2], tensor_content=b"\0" * 12),
        proto(types_pb2.DT_BOOL, [2], tensor_content=b"\1\2"),
        proto(types_pb2.DT_STRING, [2], tensor_content=b"\1\1a"),
        proto(types_pb2.DT_STRING, [9], tensor_content=b"\1\1a"),
        proto(types_pb2.DT_STRING, [2], tensor_content=b"\xff" * 30),
        proto(types_pb2.DT_FLOAT, [-1], float_val=[1]),
        proto(types_pb2.DT_FLOAT, [1] * 65, float_val=[1]),
        proto(types_pb2.DT_FLOAT, [1 << 62, 1 << 62, 4], float_val=[1]),
        proto(types_pb2.DT_FLOAT, [1 << 33], float_val=[1, 2]),
        proto(types_pb2.DT_VARIANT, [1]),
        proto(types_pb2.DT_INVALID, [1]),
        proto(99, [1]),
    ],
    ids=[
        *[
            "too-many-floats",
            "too-many-varints",
            "too-many-strings",
            "content-short",
            "content-long",
            "truth-value",
        ],
        *[
            "strings-short",
            "fewer-bytes-than-strings",
            "string-lengths",
            "negative-size",
            "too-many-dimensions",
        ],
        *["absurd-size", "absurd-fill", "variant", "invalid", "unknown-type"],
    ],
)
def test_a_tensor_that_does_not_hold_what_it_says_is_an_error(tensor: tensor_pb2.TensorProto) -> None:
    with pytest.raises(ServerError, match="output 'y'"):
        read(tensor)


def test_values_that_end_within_a_number_are_an_error() -> None:
    broken = respond(proto(types_pb2.DT_FLOAT, [1], float_val=[1.0])).replace(
        b"\x2a\x04\0\0\x80\x3f", b"\x2a\x03\0\x80\x3f\x50"
    )
    with pytest.raises(ServerError):
        predict_response(broken)


def test_an_absurd_shape_costs_no_memory() -> None:
    response = respond(proto(types_pb2.DT_FLOAT, [1 << 30, 1 << 8], float_val=[1.0]))
    tracemalloc.start()
    predict_response(response)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_values_that_came_unpacked_are_read() -> None:
    unpacked = b"\x08\x11\x12\x04\x12\x02\x08\x03" + b"\x38\x05" + b"\x3a\x01\x06" + b"\x38\xac\x02"
    tensor = tensor_pb2.TensorProto.FromString(unpacked)
    assert list(tensor.int_val) == [5, 6, 300]
    entry = b"\x0a\x01y\x12" + bytes([len(unpacked)]) + unpacked
    answer = predict_response(b"\x0a" + bytes([len(entry)]) + entry)
    assert answer.outputs["y"].tolist() == [5, 6, 300]
    assert answer.outputs["y"].dtype == np.uint16


def test_values_that_came_in_pieces_are_joined() -> None:
    first, second = (tensor_pb2.TensorProto(float_val=values).SerializeToString() for values in ([1, 2], [3]))
    whole = proto(types_pb2.DT_FLOAT, [3]).SerializeToString() + first + second
    entry = b"\x0a\x01y\x12" + bytes([len(whole)]) + whole
    assert predict_response(b"\x0a" + bytes([len(entry)]) + entry).outputs["y"].tolist() == [1, 2, 3]


small_tensors = st.builds(
    lambda dtype, sizes, fields: proto(dtype, sizes, **fields),
    st.sampled_from([1, 2, 3, 4, 5, 6, 9, 10, 14, 17, 19, 22, 23]),
    st.lists(st.integers(0, 4), max_size=3),
    st.fixed_dictionaries(
        {},
        optional={
            "float_val": st.lists(st.floats(width=32), max_size=6),
            "double_val": st.lists(st.floats(), max_size=6),
            "int_val": st.lists(st.integers(-(1 << 31), (1 << 31) - 1), max_size=6),
            "int64_val": st.lists(st.integers(-(1 << 63), (1 << 63) - 1), max_size=6),
            "uint32_val": st.lists(st.integers(0, (1 << 32) - 1), max_size=6),
            "uint64_val": st.lists(st.integers(0, (1 << 64) - 1), max_size=6),
            "bool_val": st.lists(st.booleans(), max_size=6),
            "half_val": st.lists(st.integers(0, (1 << 16) - 1), max_size=6),
            "tensor_content": st.binary(max_size=24),
        },
    ),
)


@given(small_tensors)
def test_any_tensor_reads_as_in_tensorflow_or_is_refused(tensor: tensor_pb2.TensorProto) -> None:
    try:
        array = read(tensor)
    except ServerError:
        return
    np.testing.assert_array_equal(array, official(tensor))


@given(st.binary(max_size=200))
def test_bytes_that_are_no_message_are_refused_as_by_protobuf(data: bytes) -> None:
    try:
        predict_pb2.PredictResponse.FromString(data)
    except DecodeError:
        with pytest.raises(ServerError):
            predict_response(data)
    else:
        with contextlib.suppress(ServerError):  # a message, but not one of tensors
            predict_response(data)
