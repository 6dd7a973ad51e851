"""What a checkpoint says of a tensor, before its data is read."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from export.checked_file import FormatError

STRINGS = np.dtype(object)
LARGEST_TENSOR = 1 << 48  # elements; NumPy cannot state more


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
        return TensorSpec(sizes, np.dtype(tf.dtypes.as_dtype(dtype).as_numpy_dtype))
    except (TypeError, KeyError) as error:
        raise FormatError("its type is unknown") from error
