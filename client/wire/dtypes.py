"""The element types of a tensor: TensorFlow's numbers, numpy's types, the fields that carry the values.

Source: tensorflow/core/framework/types.proto and tensor.proto.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np

Encoding = Literal["fixed", "varint", "string"]


class ElementType(NamedTuple):
    """One DataType: its name, its numpy dtype, and how its typed field holds it."""

    name: str
    dtype: np.dtype[Any]
    field: str
    encoding: Encoding


_INTEGER = {  # the field int_val carries these
    3: ("DT_INT32", "<i4"),
    4: ("DT_UINT8", "u1"),
    5: ("DT_INT16", "<i2"),
    6: ("DT_INT8", "i1"),
    11: ("DT_QINT8", "i1"),
    12: ("DT_QUINT8", "u1"),
    13: ("DT_QINT32", "<i4"),
    15: ("DT_QINT16", "<i2"),
    16: ("DT_QUINT16", "<u2"),
    17: ("DT_UINT16", "<u2"),
    29: ("DT_INT4", "i1"),
    30: ("DT_UINT4", "u1"),
}
STRING = 7
BFLOAT16 = 14
HALF = 19
INT4, UINT4 = 29, 30

ELEMENT_TYPES: dict[int, ElementType] = {
    1: ElementType("DT_FLOAT", np.dtype("<f4"), "float_val", "fixed"),
    2: ElementType("DT_DOUBLE", np.dtype("<f8"), "double_val", "fixed"),
    STRING: ElementType("DT_STRING", np.dtype(object), "string_val", "string"),
    8: ElementType("DT_COMPLEX64", np.dtype("<c8"), "scomplex_val", "fixed"),
    9: ElementType("DT_INT64", np.dtype("<i8"), "int64_val", "varint"),
    10: ElementType("DT_BOOL", np.dtype("?"), "bool_val", "varint"),
    # numpy has no bfloat16: the sixteen bits are read as they are and widened to float32 after.
    BFLOAT16: ElementType("DT_BFLOAT16", np.dtype("<u2"), "half_val", "varint"),
    18: ElementType("DT_COMPLEX128", np.dtype("<c16"), "dcomplex_val", "fixed"),
    HALF: ElementType("DT_HALF", np.dtype("<f2"), "half_val", "varint"),
    22: ElementType("DT_UINT32", np.dtype("<u4"), "uint32_val", "varint"),
    23: ElementType("DT_UINT64", np.dtype("<u8"), "uint64_val", "varint"),
    **{
        number: ElementType(name, np.dtype(code), "int_val", "varint")
        for number, (name, code) in _INTEGER.items()
    },
}

# The reverse, for requests: numpy's uint8 is DT_UINT8, never DT_QUINT8, and no dtype of numpy's is DT_BFLOAT16.
NUMBER_OF_DTYPE = {
    element.dtype: number
    for number, element in ELEMENT_TYPES.items()
    if number not in (STRING, BFLOAT16) and not element.name.startswith(("DT_Q", "DT_INT4", "DT_UINT4"))
}


def dtype_name(number: int) -> str:
    """Name TensorFlow's DataType `number` as its Python does: `float32`, `string`, or `DataType 21`."""
    element = ELEMENT_TYPES.get(number)
    if element is None:
        return f"DataType {number}"
    return {"DT_FLOAT": "float32", "DT_DOUBLE": "float64", "DT_HALF": "float16"}.get(
        element.name, element.name.removeprefix("DT_").lower()
    )
