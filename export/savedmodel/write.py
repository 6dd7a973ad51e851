"""Write a SavedModel: the graph as built, the variables straight from the checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from ..checkpoint.contents import Checkpoint
from ..checkpoint.formats.v2 import data_file
from ..graph.kernels.choice import layers_of
from ..graph.kernels.products import is_large
from ..graph.serving_graph import ServingGraph
from ..graph.signatures import signature_defs
from ..plan.plan import Plan
from ..types import StepProgress
from ..weights.quantization import Statistics
from ..weights.recipes import ModelVariables, Recipe, copies, make_variables
from .bundle_writer import BundleWriter

SERVE_TAG = "serve"


@dataclass(frozen=True)
class Model:
    """A SavedModel before its variables have values."""

    proto: saved_model_pb2.SavedModel  # the graph and its signatures
    stored: Mapping[str, Recipe]  # how its variables are made of the checkpoint's tensors, by name
    bytes: int  # of all variables
    kept_bytes: int  # of the filters that a server keeps once for each signature, in an order of their own

    @property
    def memory_bytes(self) -> int:
        """What a server takes in memory for it, warmed up, about; feature maps of calls come on top.

        The graph and the sessions of its signatures took 0.2 to 0.3 GB of each export that was measured.
        """
        signatures = len(self.proto.meta_graphs[0].signature_def)
        return 250_000_000 + self.bytes + signatures * self.kept_bytes


def build_saved_model(
    plan: Plan, statistics: Mapping[str, Statistics] | None = None, *, emulated: bool = False
) -> Model:
    """Build the serving graph; no tensor of the checkpoint is read.

    `statistics` and `emulated` are explained in `export.graph.kernels.choice.layers_of`.
    """
    with tf.Graph().as_default():
        variables = ModelVariables(plan.shapes)
        layers = layers_of(plan.options, variables, plan.network, statistics, emulated=emulated)
        signatures = signature_defs(ServingGraph(plan, layers))
        saver = tf.compat.v1.train.Saver(variables.variables, sharded=False)
        # Without the shapes that TensorFlow would note at every node: a server infers them again, and reads them for
        # every signature.
        meta_graph = tf.compat.v1.train.export_meta_graph(
            graph_def=tf.compat.v1.get_default_graph().as_graph_def(),
            saver_def=saver.as_saver_def(),
            strip_default_attrs=True,
        )
        sizes = {
            name: variable.shape.num_elements() * variable.dtype.size
            for name, variable in variables.variables.items()
        }
        kept = {
            name: size
            for name, size in sizes.items()
            if variables.variables[name].shape.rank == 4
            and not is_large(
                variables.stored[name].shape, in_8_bits=variables.variables[name].dtype == tf.int8
            )
        }
    meta_graph.meta_info_def.tags.append(SERVE_TAG)
    for name, signature in signatures.items():
        meta_graph.signature_def[name].CopyFrom(signature)
    proto = saved_model_pb2.SavedModel(saved_model_schema_version=1, meta_graphs=[meta_graph])
    kept_bytes = sum(kept.values()) if plan.options.target == "x86" else 0
    return Model(proto, variables.stored, sum(sizes.values()), kept_bytes)


@contextmanager
def with_graph_of(model: Model, folder: Path) -> Iterator[Path]:
    """Yield a temporary SavedModel with the graph of `model` and the variables of the one in `folder`."""
    with TemporaryDirectory(prefix="slimserve-") as name:
        twin = Path(name)
        (twin / "saved_model.pb").write_bytes(model.proto.SerializeToString())
        (twin / "variables").symlink_to((folder / "variables").absolute())
        yield twin


def write_saved_model(
    folder: Path,
    model: Model,
    checkpoint: Checkpoint,
    progress: StepProgress = lambda fraction: None,
) -> None:
    """Write `saved_model.pb` and `variables/` into `folder`.

    Tensors of which a variable is a copy pass through in pieces; of the others, one at a time is in memory.

    Args:
        folder: an empty one.
        model: what to write.
        checkpoint: what the model's variables are made of.
        progress: called often, with the fraction that is done.

    Raises:
        ExportError: the checkpoint is damaged.
        OSError: the folder can't be written or the disk is full.
    """
    (folder / "saved_model.pb").write_bytes(model.proto.SerializeToString(deterministic=True))
    prefix = folder / "variables" / "variables"
    prefix.parent.mkdir()
    # Not by TensorFlow's SaveV2: it copies every tensor, and takes five times as long.
    with data_file(prefix, 0, 1).open("wb") as data, Path(f"{prefix}.index").open("wb") as index:
        bundle = BundleWriter(data)
        sources = {source for recipe in model.stored.values() for source in recipe.sources}
        size = sum(checkpoint.tensors[source].nbytes for source in sources)
        copied = copies(model.stored)
        sinks = {source: bundle.sink(name, checkpoint.tensors[source]) for source, name in copied.items()}
        tensors = checkpoint.read_all(sources, lambda done: progress(done / size), sinks)
        made = {name: recipe for name, recipe in model.stored.items() if name not in copied.values()}
        for name, value in make_variables(made, tensors):
            bundle.add(name, value)
            del value
        bundle.write_index(index)
