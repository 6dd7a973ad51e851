"""A tensor message to a numpy array.

Sizes are compared before memory is spent: what a response claims to hold must be what it brings. Fewer values
than elements are legal (tensor.proto: the last value stands for the rest) and cost a view, or at most 64 MiB.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from . import varint
from .dtypes import BFLOAT16, ELEMENT_TYPES, HALF, INT4, UINT4, ElementType
from .lifting import Lifted
from .protocol import message_classes

_PROTOCOL = message_classes(packed_as_bytes=True)
_TENSOR_CONTENT = 4  # field of TensorProto
_MOST_DIMENSIONS = 64  # numpy's limit
_LARGEST_FILL = 64 << 20  # bytes of an array made by repeating the last of several values


class MalformedTensor(ValueError):
    """The message does not hold the tensor that it describes."""


def decode_tensor(tensor: Any, lifted: Lifted | None = None) -> npt.NDArray[Any]:
    """Read a TensorProto, whose values may have been lifted out of it, as a numpy array of its shape.

    The array is a read-only view of the message wherever its bytes can be used as they are (then it may begin at
    any byte: numpy copes, at little cost). bfloat16 comes as float32 (exact), strings as an object array of bytes,
    quantised and 4-bit integers as the integers they are stored in.

    Raises MalformedTensor when shape, type and values do not fit together.
    """
    element = ELEMENT_TYPES.get(tensor.dtype)
    if element is None:
        raise MalformedTensor(f"its element type, DataType {tensor.dtype}, has no numpy counterpart")
    shape = _shape(tensor)
    elements = math.prod(shape)
    content: bytes | memoryview = tensor.tensor_content
    given = getattr(tensor, element.field)
    if lifted is not None:
        content = lifted.get(_TENSOR_CONTENT, [b""])[-1]
        given = lifted.get(_PROTOCOL.TensorProto.DESCRIPTOR.fields_by_name[element.field].number, [])
    values = _from_content(content, element, elements) if content else _from_packed(given, element, elements)
    if tensor.dtype == BFLOAT16:
        values = (values.astype(np.uint32) << 16).view(np.float32)
    elif tensor.dtype in (INT4, UINT4):  # of whose bytes the upper half says nothing
        values = values & 0xF if tensor.dtype == UINT4 else ((values & 0xF) ^ 8) - 8
    return _fill(values, shape, elements)


def _shape(tensor: Any) -> tuple[int, ...]:
    shape = tuple([dim.size for dim in tensor.tensor_shape.dim])
    # unknown_rank says nothing of a tensor's values, and TensorFlow reads past it.
    if len(shape) > _MOST_DIMENSIONS or min(shape, default=0) < 0:
        raise MalformedTensor("its shape is not that of an array")
    return shape


def _from_content(content: bytes | memoryview, element: ElementType, elements: int) -> npt.NDArray[Any]:
    if element.encoding == "string":
        return _objects(_split_strings(bytes(content), elements))
    if len(content) != elements * element.dtype.itemsize:
        raise MalformedTensor(f"it has {elements} elements of {element.name} but {len(content)} bytes")
    if element.dtype == np.bool_ and np.frombuffer(content, np.uint8).max(initial=0) > 1:
        raise MalformedTensor("it has truth values that are neither 0 nor 1")
    return np.frombuffer(content, element.dtype)


def _split_strings(content: bytes, elements: int) -> list[bytes]:
    """Split TensorFlow's encoding of a string tensor: all lengths as varints, then all bytes."""
    if elements > len(content):
        raise MalformedTensor(f"it has {elements} strings in {len(content)} bytes")
    sizes, start = [], 0
    try:
        for _ in range(elements):
            size, start = varint.read_one(content, start)
            sizes.append(size)
    except varint.VarintError:
        raise MalformedTensor("the lengths of its strings cannot be read") from None
    if start + sum(sizes) != len(content):
        raise MalformedTensor("the lengths of its strings do not add up to its bytes")
    strings = []
    for size in sizes:
        strings.append(content[start : start + size])
        start += size
    return strings


def _from_packed(chunks: Any, element: ElementType, elements: int) -> npt.NDArray[Any]:
    """Read the values of a packed field, one buffer or several, or of a repeated string."""
    if element.encoding == "string":
        _check_count(len(chunks), element, elements)
        return _objects([bytes(chunk) for chunk in chunks])
    data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
    if element.encoding == "fixed":
        number = element.dtype.type(0).real.dtype
        if len(data) % number.itemsize:
            raise MalformedTensor(f"its values end within a {element.name}")
        count = len(data) // element.dtype.itemsize  # a real part without its imaginary one is not read
        _check_count(count, element, elements)
        return np.frombuffer(data, element.dtype, count)
    try:
        count = varint.count(data)
        _check_count(count, element, elements)
        # half_val holds the bits of a half in an integer.
        values = np.empty(
            count, np.dtype("<u2") if element.dtype == ELEMENT_TYPES[HALF].dtype else element.dtype
        )
        varint.decode_into(data, values)
    except varint.VarintError as error:
        raise MalformedTensor(f"its values cannot be read: {error}") from error
    return values.view(element.dtype)


def _check_count(values: int, element: ElementType, elements: int) -> None:
    if values > elements:
        raise MalformedTensor(f"it has {elements} elements of {element.name} but {values} values")


def _objects(strings: Any) -> npt.NDArray[Any]:
    array = np.empty(len(strings), object)
    array[:] = strings
    return array


def _fill(values: npt.NDArray[Any], shape: tuple[int, ...], elements: int) -> npt.NDArray[Any]:
    """Shape `values`, the last of which stands for those that are missing (zero or b"" where there is none)."""
    if 1 < len(values) < elements and elements * values.dtype.itemsize > _LARGEST_FILL:
        raise MalformedTensor(f"it has {elements} elements but {len(values)} values")
    try:
        if len(values) == elements:
            return values.reshape(shape)
        if len(values) == 0:
            empty = np.zeros((), values.dtype)
            if values.dtype == object:
                empty[()] = b""
            return np.broadcast_to(empty, shape)
        if len(values) == 1:
            return np.broadcast_to(values.reshape(()), shape)
        filled = np.full(elements, values[-1], values.dtype)
        filled[: len(values)] = values
        return filled.reshape(shape)
    except ValueError as error:  # more elements than numpy can address
        raise MalformedTensor(f"an array of shape {shape} cannot be made: {error}") from error
