"""Tensors in messages and in graphs, read by TensorFlow's own code."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from tensorflow.core.framework.tensor_pb2 import TensorProto


def run(tensor: tf.Tensor, feed: Mapping[tf.Tensor, np.ndarray] | None = None) -> np.ndarray:
    """What a tensor of a graph is."""
    with tf.compat.v1.Session(graph=tensor.graph) as session:
        return session.run(tensor, feed)


def values(tensor: TensorProto) -> np.ndarray:
    """What it holds, in whichever field; `tf.make_ndarray` cannot read strings in `tensor_content`."""
    return tf.io.parse_tensor(tensor.SerializeToString(), tf.as_dtype(tensor.dtype)).numpy()
