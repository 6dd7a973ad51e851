"""Write a SavedModel: the graph as built, the variables straight from the checkpoint."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from export.graph import GraphOptions, ServingGraph
from export.networks.network import Network
from export.signatures import signature_defs

SERVE_TAG = "serve"
_SHARD = 64 * 2**20  # bytes of variables held at once, unless one of them is larger


def build_saved_model(
    network: Network, shapes: Mapping[str, Sequence[int]], class_names: Sequence[str], options: GraphOptions
) -> saved_model_pb2.SavedModel:
    """Build the serving graph over variables of these names and shapes; no value is read."""
    with tf.Graph().as_default():
        variables = {
            name: tf.compat.v1.get_variable(
                name, shape, tf.float32, tf.zeros_initializer(), use_resource=True
            )
            for name, shape in shapes.items()
        }
        signatures = signature_defs(ServingGraph(network, variables, class_names, options))
        saver = tf.compat.v1.train.Saver(variables, sharded=False)
        meta_graph = tf.compat.v1.train.export_meta_graph(
            saver_def=saver.as_saver_def(), strip_default_attrs=True
        )
    meta_graph.meta_info_def.tags.append(SERVE_TAG)
    for name, signature in signatures.items():
        meta_graph.signature_def[name].CopyFrom(signature)
    return saved_model_pb2.SavedModel(saved_model_schema_version=1, meta_graphs=[meta_graph])


def write_saved_model(
    folder: Path, model: saved_model_pb2.SavedModel, tensors: Iterable[tuple[str, np.ndarray]]
) -> None:
    """Write `saved_model.pb` and `variables/` into `folder`.

    Raises:
        tf.errors.OpError, OSError: the folder can't be written or the disk is full.
    """
    (folder / "saved_model.pb").write_bytes(model.SerializeToString(deterministic=True))
    (folder / "variables").mkdir()
    _write_variables(str(folder / "variables" / "variables"), tensors)


def _write_variables(prefix: str, tensors: Iterable[tuple[str, np.ndarray]]) -> None:
    """Write a V2 checkpoint shard by shard, so that at most one shard is in memory."""
    shards: list[str] = []
    names: list[str] = []
    values: list[np.ndarray] = []

    def flush() -> None:
        shards.append(f"{prefix}.shard{len(shards)}")
        tf.raw_ops.SaveV2(
            prefix=shards[-1], tensor_names=names, shape_and_slices=[""] * len(names), tensors=values
        )
        names.clear()
        values.clear()

    for name, value in tensors:
        if values and sum(v.nbytes for v in values) + value.nbytes > _SHARD:
            flush()
        names.append(name)
        values.append(value)
        del value
    flush()
    tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=shards, destination_prefix=prefix)
