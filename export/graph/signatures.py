"""The signatures of an exported model: names, dtypes and shapes that the client and TensorFlow Serving see."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf
from tensorflow.core.framework import tensor_shape_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from ..types import Array, Tensor
from .heads.ranking import Ranking
from .serving_graph import ServingGraph

PREDICT = "tensorflow/serving/predict"
CLASSIFY = "tensorflow/serving/classify"

_Tensors = dict[str, tuple[Tensor, tuple[int, ...]]]


def signature_defs(graph: ServingGraph) -> dict[str, meta_graph_pb2.SignatureDef]:
    """Return every signature of the graph by its name; -1 in a shape stands for any size.

    A network that only classifies has no label maps, and no signatures for them. Where label maps are made, the input
    `classes` may be left out: it has a default for TensorFlow Serving (`SignatureDef.defaults`) and one in the graph.
    """
    classes = graph.classes
    k = graph.crop_ranking.ids.shape[-1]
    images: _Tensors = {"images": (graph.source.images, (-1, -1, -1, 3))}
    image_bytes: _Tensors = {"image_bytes": (graph.source.image_bytes, (-1,))}

    def ranking(result: Ranking) -> _Tensors:
        return {
            "class_ids": (result.ids, (-1, k)),
            "class_names": (result.names, (-1, k)),
            "scores": (result.scores, (-1, k)),
        }

    default = ranking(graph.default_ranking)
    crops = ranking(graph.crop_ranking) | {"probabilities": (graph.crop_ranking.probabilities, (-1, classes))}
    signatures = {
        "serving_default": _signature(images, default),
        "classify": _signature(images, crops),
        "classify_bytes": _signature(image_bytes, crops),
        "classify_examples": _signature(
            {"inputs": (graph.source.examples, (-1,))},
            {"classes": (graph.crop_ranking.names, (-1, k)), "scores": (graph.crop_ranking.scores, (-1, k))},
            CLASSIFY,
        ),
        "labels": _signature(
            {"class_ids": (graph.class_ids, (-1,))}, {"class_names": (graph.class_names, (-1,))}
        ),
        "network": _signature(
            {"features": (graph.features, tuple(size or -1 for size in graph.features.shape))},
            {"logits": (graph.network_logits, (-1, -1, -1, classes))},
        ),
    }
    if graph.whole is None:
        return signatures
    whole = graph.whole
    chosen: _Tensors = {"classes": (whole.chosen.given, (-1,))}
    all_classes = {"classes": whole.chosen.default}
    label_map: _Tensors = {"label_map": (whole.label_map, (-1, -1, -1))}
    label_png: _Tensors = {"label_png": (whole.label_png, (-1,))}
    names = (graph.all_names, (classes,))
    logits: _Tensors = {
        "logits": (whole.logits, (-1, -1, -1, classes)),
        "labels": (whole.labels, (-1, -1, -1)),
        "receptive_field": (whole.receptive_field, (-1,)),
    }
    return signatures | {
        "serving_default": _signature(
            images | chosen, label_map | {"label_names": names} | default, defaults=all_classes
        ),
        "segment": _signature(images | chosen, label_map | {"class_names": names}, defaults=all_classes),
        "segment_bytes": _signature(
            image_bytes | chosen, label_png | {"class_names": names}, defaults=all_classes
        ),
        "logits": _signature(images, logits),
    }


def _signature(
    inputs: _Tensors, outputs: _Tensors, method: str = PREDICT, defaults: Mapping[str, Array] | None = None
) -> meta_graph_pb2.SignatureDef:
    return meta_graph_pb2.SignatureDef(
        inputs={name: _tensor_info(*tensor) for name, tensor in inputs.items()},
        outputs={name: _tensor_info(*tensor) for name, tensor in outputs.items()},
        method_name=method,
        defaults={name: tf.make_tensor_proto(value) for name, value in (defaults or {}).items()},
    )


def _tensor_info(tensor: Tensor, shape: tuple[int, ...]) -> meta_graph_pb2.TensorInfo:
    """The shape is stated here, as the graph's own placeholders take any: it refuses wrong ones in its own words."""
    dimensions = [tensor_shape_pb2.TensorShapeProto.Dim(size=size) for size in shape]
    return meta_graph_pb2.TensorInfo(
        name=tensor.name,
        dtype=tf.as_dtype(tensor.dtype).as_datatype_enum,
        tensor_shape=tensor_shape_pb2.TensorShapeProto(dim=dimensions),
    )
