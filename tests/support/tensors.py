"""Tensors in messages, read by TensorFlow's own code."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from tensorflow.core.framework.tensor_pb2 import TensorProto


def values(tensor: TensorProto) -> np.ndarray:
    """What it holds, in whichever field; `tf.make_ndarray` cannot read strings in `tensor_content`."""
    return tf.io.parse_tensor(tensor.SerializeToString(), tf.as_dtype(tensor.dtype)).numpy()
