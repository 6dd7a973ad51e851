"""Classify on one servable (classifier.cc and util.cc of TensorFlow Serving)."""

from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from ...server.protocol import ClassificationRequest, ClassificationResponse, ClassificationResult, Input
from .. import rpc_error
from .predict import DEFAULT_SIGNATURE, model_spec
from .servable import Servable
from .tensors import Array

_INPUTS, _CLASSES, _SCORES = "inputs", "classes", "scores"
_DTYPES = {_CLASSES: tf.string, _SCORES: tf.float32}


def classify(servable: Servable, request: ClassificationRequest) -> ClassificationResponse:
    """The classes and scores of each example, in the order of the graph's outputs.

    Raises:
        RpcError: as TensorFlow Serving answers.
    """
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    if name not in servable.signatures:
        raise rpc_error.invalid_argument(f"No signature was found with the name: {name}")
    signature = servable.signatures[name]
    _check_signature(signature)
    examples = _serialized_examples(request.input)
    aliases = [alias for alias in (_CLASSES, _SCORES) if alias in signature.outputs]
    fetches = [signature.outputs[alias].name for alias in aliases]
    values = servable.run({signature.inputs[_INPUTS].name: examples}, fetches)
    outputs = dict(zip(aliases, (np.asarray(value) for value in values), strict=True))
    for alias, fetch in zip(aliases, fetches, strict=True):
        _check_output(alias, outputs[alias], servable.dtype(fetch), len(examples))
    response = ClassificationResponse(model_spec=model_spec(servable, name))
    response.result.CopyFrom(_result(outputs.get(_CLASSES), outputs.get(_SCORES), len(examples)))
    return response


def _check_signature(signature: meta_graph_pb2.SignatureDef) -> None:
    if len(signature.inputs) != 1:
        raise rpc_error.invalid_argument("Expected one input Tensor.")
    if len(signature.outputs) not in (1, 2):
        raise rpc_error.invalid_argument(
            f"Expected one or two output Tensors, found {len(signature.outputs)}"
        )
    text = text_format.MessageToString(signature)
    if _INPUTS not in signature.inputs:
        raise rpc_error.invalid_argument(f"No classification inputs found in SignatureDef: {text}")
    if _CLASSES not in signature.outputs and _SCORES not in signature.outputs:
        raise rpc_error.invalid_argument(
            "Expected classification signature outputs to contain at least one of "
            f'"{_CLASSES}" or "{_SCORES}". Signature was: {text}'
        )


def _serialized_examples(examples: Input) -> Array:
    kind = examples.WhichOneof("kind")
    listed = getattr(examples, kind).examples if kind else []
    if not listed:
        raise rpc_error.invalid_argument("Input is empty.")
    # Serialized messages one after the other parse as their merge: that is how a context is shared.
    context = b""
    if kind == "example_list_with_context":
        context = examples.example_list_with_context.context.SerializeToString()
    serialized = np.empty(len(listed), object)
    serialized[:] = [context + example.SerializeToString() for example in listed]
    return serialized


def _check_output(alias: str, value: Array, dtype: tf.DType, examples: int) -> None:
    if value.ndim != 2:
        shape = "[" + ",".join(map(str, value.shape)) + "]"
        raise rpc_error.invalid_argument(f"Expected Tensor shape: [batch_size num_classes] but got {shape}")
    if dtype != _DTYPES[alias]:
        wanted, given = (types_pb2.DataType.Name(kind.as_datatype_enum) for kind in (_DTYPES[alias], dtype))
        raise rpc_error.invalid_argument(f"Expected {alias} Tensor of {wanted}. Got: {given}")
    if len(value) != examples:
        raise rpc_error.invalid_argument(
            f"Expected {alias} output batch size of {examples}. Got: {len(value)}"
        )


def _result(classes: Array | None, scores: Array | None, examples: int) -> ClassificationResult:
    if classes is not None and scores is not None and classes.shape[1] != scores.shape[1]:
        raise rpc_error.invalid_argument(
            "Tensors class and score should match in dim_size(1). "
            f"Got {classes.shape[1]} vs. {scores.shape[1]}"
        )
    result = ClassificationResult()
    for row in range(examples):
        ranked = result.classifications.add().classes
        labels: list[Any] = [] if classes is None else classes[row].tolist()
        values: list[Any] = [] if scores is None else scores[row].tolist()
        for column in range(len(labels or values)):
            entry = ranked.add()
            if labels:
                entry.label = labels[column].decode(errors="replace")
            if values:
                entry.score = values[column]
    return result
