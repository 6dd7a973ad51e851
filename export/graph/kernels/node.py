"""Build nodes that TensorFlow's Python has no function for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from tensorflow.core.framework.attr_value_pb2 import AttrValue

from ...networks.layers import Convolution
from ...types import Tensor


def node(op: str, inputs: Sequence[Tensor], outputs: Sequence[tf.DType], **attributes: Any) -> list[Tensor]:
    """Add a node to the current graph and return its outputs.

    Args:
        op: its registered name.
        inputs: tensors.
        outputs: their dtypes.
        attributes: strings, booleans, integers, dtypes, or lists of one of them.
    """
    operation = tf.compat.v1.get_default_graph().create_op(
        op,
        list(inputs),
        list(outputs),
        attrs={name: _attribute(value) for name, value in attributes.items()},
        name=op.lstrip("_"),
    )
    return list(operation.outputs)


def convolution_attributes(convolution: Convolution) -> dict[str, Any]:
    """What every node that convolves [N, H, W, C] takes, by name."""
    return {
        "strides": [1, convolution.stride, convolution.stride, 1],
        "dilations": [1, convolution.rate, convolution.rate, 1],
        "padding": convolution.padding,
        "data_format": "NHWC",
    }


def _attribute(value: Any) -> AttrValue:
    if isinstance(value, list):
        entries = AttrValue.ListValue()
        for entry in value:
            ((field, content),) = _field(entry).items()
            getattr(entries, field).append(content)
        return AttrValue(list=entries)
    return AttrValue(**_field(value))


def _field(value: bool | int | str | tf.DType) -> dict[str, Any]:
    """The value under the name of its field in attr_value.proto."""
    if isinstance(value, bool):
        return {"b": value}
    if isinstance(value, int):
        return {"i": value}
    if isinstance(value, str):
        return {"s": value.encode()}
    return {"type": value.as_datatype_enum}
