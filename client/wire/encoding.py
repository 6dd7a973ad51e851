"""Numpy arrays to the wire, each copied once: into the request.

protobuf would copy a tensor's bytes into the message and again out of it, so what frames them is written here:
tag, length, bytes (https://protobuf.dev/programming-guides/encoding/).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .dtypes import NUMBER_OF_DTYPE, STRING
from .protocol import message_classes

_PROTOCOL = message_classes(packed_as_bytes=True)
_TENSOR_CONTENT, _STRING_VAL = 4, 8  # fields of TensorProto
_KEY, _VALUE = 1, 2  # of a map's entry


class TensorParts(NamedTuple):
    """A tensor ready to be framed; `buffers` are the strings, or the pieces of the elements in order."""

    dtype: int
    shape: tuple[int, ...]
    buffers: Sequence[bytes | memoryview]

    @property
    def nbytes(self) -> int:
        """Bytes of all buffers."""
        return sum(map(len, self.buffers))


def tensor_of_array(given: npt.ArrayLike) -> TensorParts:
    """Prepare any array; strings (`str` as UTF-8, `bytes` as they are) may come as a list, or an array of any kind.

    Raises TypeError for an element type that TensorFlow lacks.
    """
    array = np.asarray(given, object if _begins_with_string(given) else None)
    if isinstance(given, np.ndarray) and np.any(getattr(given, "mask", False)):
        raise TypeError("it is a masked array: say what stands for the masked elements, array.filled(0)")
    if array.dtype.kind in "OUST":  # T: strings of any length
        return TensorParts(STRING, array.shape, [_string(value) for value in array.ravel().tolist()])
    array = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(array.shape)
    if array.dtype not in NUMBER_OF_DTYPE:
        raise TypeError(f"TensorFlow has no element type {array.dtype}")
    return TensorParts(NUMBER_OF_DTYPE[array.dtype], array.shape, [_buffer(array)])


def tensor_of_images(images: Sequence[npt.NDArray[np.uint8]]) -> TensorParts:
    """Prepare one uint8 [N,H,W,3] tensor of N images uint8 [H,W,3] of one size, without stacking them first."""
    shape = (len(images), *images[0].shape)
    return TensorParts(
        NUMBER_OF_DTYPE[np.dtype(np.uint8)], shape, [_buffer(np.ascontiguousarray(image)) for image in images]
    )


def tensor_of_strings(strings: Sequence[bytes]) -> TensorParts:
    """Prepare a string [N] tensor."""
    return TensorParts(STRING, (len(strings),), strings)


def frame_entry(field: int, name: str, tensor: TensorParts) -> list[bytes | memoryview]:
    """Frame one entry of a map of tensors, which is that field of its message: pieces that, joined, are its bytes."""
    shape = {"dim": [{"size": size} for size in tensor.shape]}
    header = _PROTOCOL.TensorProto(dtype=tensor.dtype, tensor_shape=shape).SerializeToString()
    if tensor.dtype == STRING:
        values = [piece for value in tensor.buffers for piece in frame(_STRING_VAL, [value])]
    else:
        values = frame(_TENSOR_CONTENT, tensor.buffers)
    return frame(field, frame(_KEY, [name.encode()]) + frame(_VALUE, [header, *values]))


def frame(field: int, pieces: Sequence[bytes | memoryview]) -> list[bytes | memoryview]:
    """Put the tag and the length of a length-delimited field before the pieces of its value."""
    return [_tag(field, sum(map(len, pieces))), *pieces]


def _begins_with_string(given: object) -> bool:
    """Tell strings, which numpy must not give one width: it would cut their last NULs, and pad all to the longest."""
    while isinstance(given, (list, tuple)) and given:
        given = given[0]
    return isinstance(given, (str, bytes))


def _buffer(array: npt.NDArray[Any]) -> memoryview:
    flat = array.reshape(math.prod(array.shape))
    return memoryview(flat.view(np.uint8).data)


def _string(value: object) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return value
    raise TypeError(f"a string tensor holds str or bytes, not {type(value).__name__}")


def _tag(field: int, length: int) -> bytes:
    """Tag and length of a length-delimited field."""
    encoded = bytearray([field << 3 | 2])
    while length > 0x7F:
        encoded.append(length & 0x7F | 0x80)
        length >>= 7
    encoded.append(length)
    return bytes(encoded)
