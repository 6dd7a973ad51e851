"""TensorProto to numpy and back, with the rules of tensorflow/core/framework/tensor.cc.

`tf.make_ndarray` and `tf.make_tensor_proto` differ from what the C++ server does in corners (too many values,
none at all, an unknown rank), and encode element by element.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2

from . import wire

Array = npt.NDArray[Any]

_INT_VAL = (
    types_pb2.DT_INT32,
    types_pb2.DT_INT16,
    types_pb2.DT_INT8,
    types_pb2.DT_UINT16,
    types_pb2.DT_UINT8,
    types_pb2.DT_QINT8,
    types_pb2.DT_QUINT8,
    types_pb2.DT_QINT16,
    types_pb2.DT_QUINT16,
    types_pb2.DT_QINT32,
)
# The typed field of TensorProto that holds the values of each data type.
_FIELDS = {
    **dict.fromkeys(_INT_VAL, "int_val"),
    types_pb2.DT_FLOAT: "float_val",
    types_pb2.DT_DOUBLE: "double_val",
    types_pb2.DT_STRING: "string_val",
    types_pb2.DT_COMPLEX64: "scomplex_val",
    types_pb2.DT_COMPLEX128: "dcomplex_val",
    types_pb2.DT_INT64: "int64_val",
    types_pb2.DT_BOOL: "bool_val",
    types_pb2.DT_HALF: "half_val",
    types_pb2.DT_BFLOAT16: "half_val",
    types_pb2.DT_UINT32: "uint32_val",
    types_pb2.DT_UINT64: "uint64_val",
}
_NUMBERS = {name: field.number for name, field in tensor_pb2.TensorProto.DESCRIPTOR.fields_by_name.items()}
_TENSOR_CONTENT = _NUMBERS["tensor_content"]

# A few bytes can name a shape of any size; no tensor may be larger than the message that could carry it.
MAX_BYTES = 1 << 31
# TensorShape::MaxDimensions() is 254, numpy stops at 64.
_MAX_DIMENSIONS = 64


def decode(proto: tensor_pb2.TensorProto) -> Array:
    """The array that a TensorProto stands for; strings become an object array of bytes.

    Raises:
        ValueError: the shape, the data type and the values do not fit together (`Tensor::FromProto` fails),
            or the array would exceed 2 GiB.
    """
    shape = [dim.size for dim in proto.tensor_shape.dim]
    if any(size < 0 for size in shape) or len(shape) > _MAX_DIMENSIONS:
        raise ValueError("invalid shape")
    if proto.dtype not in _FIELDS:
        raise ValueError("invalid data type")
    count = math.prod(shape)
    dtype = np.dtype(tf.as_dtype(proto.dtype).as_numpy_dtype)
    if count * dtype.itemsize > MAX_BYTES:
        raise ValueError("too large")
    if count == 0:
        return np.empty(shape, dtype)
    if proto.dtype == types_pb2.DT_STRING:
        return _strings(proto, count).reshape(shape)
    if proto.tensor_content:
        # reshape refuses a content of another length.
        return np.frombuffer(proto.tensor_content, dtype).reshape(shape)
    return _numbers(proto, count, dtype).reshape(shape)


def _numbers(proto: tensor_pb2.TensorProto, count: int, dtype: np.dtype[Any]) -> Array:
    """The typed field: the last value (or zero) fills what is missing, the excess is dropped."""
    repeated = getattr(proto, _FIELDS[proto.dtype])
    if dtype.kind == "c":
        parts = dtype.type(0).real.dtype
        given = np.fromiter(repeated, parts, len(repeated) // 2 * 2).view(dtype)
    elif _FIELDS[proto.dtype] == "half_val":
        given = np.fromiter(repeated, np.int64, len(repeated)).astype(np.uint16).view(dtype)
    elif _FIELDS[proto.dtype] == "int_val":
        given = np.fromiter(repeated, np.int64, len(repeated)).astype(_plain(dtype)).view(dtype)
    else:
        given = np.fromiter(repeated, dtype, len(repeated))
    if len(given) >= count:
        return given[:count]
    values = np.zeros(count, dtype)
    if len(given):
        values[: len(given)] = given
        values[len(given) :] = given[-1]
    return values


def _strings(proto: tensor_pb2.TensorProto, count: int) -> Array:
    given = (
        list(_split(proto.tensor_content, count)) if proto.tensor_content else list(proto.string_val[:count])
    )
    values = np.empty(count, object)
    values[: len(given)] = given
    values[len(given) :] = given[-1] if given else b""
    return values


def _split(content: bytes, count: int) -> list[bytes]:
    """Strings stored as `count` varint lengths followed by their bytes."""
    lengths, position = [], 0
    for _ in range(count):
        length = shift = 0
        while True:
            if position >= len(content) or shift > 63:
                raise ValueError("lengths cut off")
            byte = content[position]
            position += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        lengths.append(length)
    if position + sum(lengths) != len(content):
        raise ValueError("lengths and bytes disagree")
    out = []
    for length in lengths:
        out.append(content[position : position + length])
        position += length
    return out


def encode(values: Any, dtype: int, as_content: bool) -> list[wire.Chunk]:
    """The wire bytes of the TensorProto for what a session returned.

    Args:
        values: an array or scalar; strings as bytes or an object array of bytes.
        dtype: its DataType in types.proto.
        as_content: raw bytes in `tensor_content` (`Tensor::AsProtoTensorContent`), else the typed field
            (`Tensor::AsProtoField`).
    """
    array = np.asarray(values, object) if dtype == types_pb2.DT_STRING else np.asarray(values)
    head = tensor_pb2.TensorProto(dtype=dtype)
    head.tensor_shape.SetInParent()
    for size in array.shape:
        head.tensor_shape.dim.add(size=size)
    chunks: list[wire.Chunk] = [head.SerializeToString()]
    if array.size:
        flat = np.ascontiguousarray(array).reshape(-1)
        chunks += _content(flat) if as_content else _typed(flat, dtype)
    return chunks


def _content(flat: Array) -> list[wire.Chunk]:
    if flat.dtype != object:
        return wire.field(_TENSOR_CONTENT, [_raw(flat)])
    strings: Sequence[bytes] = flat.tolist()
    return wire.field(_TENSOR_CONTENT, [*(wire.varint(len(text)) for text in strings), *strings])


def _typed(flat: Array, dtype: int) -> list[wire.Chunk]:
    name = _FIELDS.get(dtype)
    if name is None:
        raise TypeError(f"no TensorProto field for {types_pb2.DataType.Name(dtype)}")
    number = _NUMBERS[name]
    if name == "string_val":
        return [chunk for text in flat.tolist() for chunk in wire.field(number, [text])]
    if flat.dtype.kind in "fc" and name != "half_val":
        return wire.field(number, [_raw(flat)])
    if name == "half_val":
        flat = flat.view(np.uint16)
    return wire.field(number, wire.packed_varints(flat.view(_plain(flat.dtype))))


def _raw(flat: Array) -> memoryview:
    return flat.view(np.uint8).data


def _plain(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The integer type inside TensorFlow's quantized types, which numpy sees as one-field records."""
    return dtype if dtype.names is None else dtype[0]
