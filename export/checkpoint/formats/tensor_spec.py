"""What a checkpoint says of a tensor, before its data is read."""

from __future__ import annotations

import math
import mmap
import sys
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ...types import VariableShape
from .checked_file import FormatError

STRINGS = np.dtype(object)
LARGEST_TENSOR = 1 << 48  # elements; NumPy cannot state more
_PAGED = 1 << 20  # bytes from which on an array gets pages of its own


class TensorSpec(NamedTuple):
    """Shape and dtype of one tensor; dtype object stands for strings and what else NumPy has no type for."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the array."""
        return self.elements * self.dtype.itemsize

    def fits(self, wanted: VariableShape) -> bool:
        """Whether the shape is the wanted one, and what it leaves open, the number of classes, is one at least."""
        return len(self.shape) == len(wanted) and all(
            size > 0 if side is None else size == side for size, side in zip(self.shape, wanted, strict=True)
        )

    def empty(self) -> npt.NDArray[Any]:
        """Return a new array; a large one in pages of its own.

        TensorFlow takes an array without a copy if it starts on a multiple of 64 bytes; NumPy's large arrays do not.
        They also ask for huge pages, and to find some the kernel may move other memory about for a second.
        """
        if self.nbytes < _PAGED or sys.platform == "win32":
            return np.empty(self.shape, self.dtype)
        pages = mmap.mmap(-1, self.nbytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        return np.frombuffer(pages, self.dtype).reshape(self.shape)


def tensor_spec(shape: Any, dtype: int) -> TensorSpec:
    """Build a TensorSpec from a TensorShapeProto and a DataType.

    Raises:
        FormatError: the shape or the type is none a tensor can have.
    """
    import tensorflow as tf

    sizes = tuple(dimension.size for dimension in shape.dim)
    largest = math.prod(max(size, 1) for size in sizes)
    if shape.unknown_rank or len(sizes) > 32 or any(size < 0 for size in sizes) or largest > LARGEST_TENSOR:
        raise FormatError("its shape is malformed")
    try:
        number = np.dtype(tf.dtypes.as_dtype(dtype).as_numpy_dtype)
    except (TypeError, KeyError) as error:
        raise FormatError("its type is unknown") from error
    # TensorFlow gives its quantized types as structures of one field, which no message can name.
    return TensorSpec(sizes, number[0] if number.names else number)
