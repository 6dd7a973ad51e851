"""TensorProto encoding and decoding against TensorFlow's own conversions and against protobuf's bytes."""

import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from slimserve.serving_config.engine.model import tensors, wire
from tensorflow.core.framework import tensor_pb2, types_pb2

NUMBERS = [
    np.float16,
    np.float32,
    np.float64,
    np.int8,
    np.int16,
    np.int32,
    np.int64,
    np.uint8,
    np.uint16,
    np.uint32,
    np.uint64,
    np.bool_,
    np.complex64,
    np.complex128,
]
ARRAYS = st.sampled_from(NUMBERS).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5))
)


def encoded(values: np.ndarray, as_content: bool) -> tensor_pb2.TensorProto:
    dtype = tf.as_dtype(values.dtype).as_datatype_enum
    return tensor_pb2.TensorProto.FromString(b"".join(tensors.encode(values, dtype, as_content)))


@given(values=ARRAYS, as_content=st.booleans())
@settings(deadline=None)
def test_tensorflow_reads_what_is_encoded(values: np.ndarray, as_content: bool) -> None:
    read = tf.make_ndarray(encoded(values, as_content))
    assert read.dtype == values.dtype
    assert read.tobytes() == values.tobytes()
    assert read.shape == values.shape


@given(values=ARRAYS)
@settings(deadline=None)
def test_what_tensorflow_writes_is_decoded(values: np.ndarray) -> None:
    read = tensors.decode(tf.make_tensor_proto(values))
    assert read.dtype == values.dtype
    assert read.tobytes() == values.tobytes()
    assert read.shape == values.shape


@given(values=ARRAYS, as_content=st.booleans())
@settings(deadline=None)
def test_decoding_undoes_encoding(values: np.ndarray, as_content: bool) -> None:
    read = tensors.decode(encoded(values, as_content))
    assert (read.dtype, read.shape, read.tobytes()) == (values.dtype, values.shape, values.tobytes())


@given(st.lists(st.binary(max_size=300), max_size=5), st.booleans())
@settings(deadline=None)
def test_strings_survive(texts: list[bytes], as_content: bool) -> None:
    values = np.array(texts, object)
    dtype = types_pb2.DT_STRING
    proto = tensor_pb2.TensorProto.FromString(b"".join(tensors.encode(values, dtype, as_content)))
    assert tensors.decode(proto).tolist() == texts


def test_bfloat16_travels_by_its_bits() -> None:
    values = np.array([1.5, -2.0, np.inf], ml_dtypes.bfloat16)
    assert list(encoded(values, False).half_val) == values.view(np.uint16).tolist()
    assert tensors.decode(encoded(values, False)).tobytes() == values.tobytes()


@given(hnp.arrays(st.sampled_from([np.int32, np.uint16, np.int64, np.uint64]), st.integers(1, 50)))
@settings(deadline=None)
def test_packed_varints_are_the_bytes_protobuf_writes(values: np.ndarray) -> None:
    name = {"int32": "int_val", "uint16": "int_val", "int64": "int64_val", "uint64": "uint64_val"}[
        str(values.dtype)
    ]
    number = tensor_pb2.TensorProto.DESCRIPTOR.fields_by_name[name].number
    expected = tensor_pb2.TensorProto(**{name: values.tolist()}).SerializeToString()
    assert b"".join(wire.field(number, wire.packed_varints(values))) == expected


def test_values_longer_than_one_chunk_stay_in_order() -> None:
    values = (np.arange((1 << 20) + 1000) % 65521).astype(np.uint16)
    assert list(encoded(values, False).int_val) == values.tolist()


@pytest.mark.parametrize(
    ("proto", "reason"),
    [
        (tensor_pb2.TensorProto(dtype=types_pb2.DT_RESOURCE), "data type"),
        (tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT, tensor_content=b"abc"), "buffer size"),
        (tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, tensor_content=b"\x05abc"), "disagree"),
        (tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, tensor_content=b"\xff\xff"), "cut off"),
    ],
    ids=["resource", "content of another length", "string cut off", "length cut off"],
)
def test_a_tensor_that_does_not_fit_is_refused(proto: tensor_pb2.TensorProto, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        tensors.decode(proto)


def test_a_shape_of_terabytes_is_refused_before_memory_is_spent() -> None:
    proto = tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT, float_val=[1.0])
    for size in (1 << 20, 1 << 20):
        proto.tensor_shape.dim.add(size=size)
    with pytest.raises(ValueError, match="too large"):
        tensors.decode(proto)
