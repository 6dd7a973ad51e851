"""Run the signatures of a SavedModel in a session."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import TracebackType

import numpy as np
import tensorflow as tf


class SavedModel:
    """A loaded version folder; call it with a signature's name and inputs.

    With `rewritten`, TensorFlow rewrites the graph before a signature's first run, as TensorFlow Serving has it do. It
    takes a second or two for each.
    """

    def __init__(self, folder: Path, *, rewritten: bool = False) -> None:
        config = tf.compat.v1.ConfigProto()
        config.graph_options.rewrite_options.disable_meta_optimizer = not rewritten
        self._session = tf.compat.v1.Session(graph=tf.Graph(), config=config)
        with self._session.graph.as_default():
            loaded = tf.compat.v1.saved_model.load(self._session, ["serve"], str(folder))
        self.signatures = dict(loaded.signature_def)

    def nodes_run(self, signature: str, **inputs: np.ndarray) -> Counter[str]:
        """How many nodes of each op run for the signature's outputs, by the op's name as the runtime has it."""
        definition = self.signatures[signature]
        found = tf.compat.v1.RunMetadata()
        self._session.run(
            [info.name for info in definition.outputs.values()],
            {definition.inputs[name].name: value for name, value in inputs.items()},
            options=tf.compat.v1.RunOptions(trace_level=tf.compat.v1.RunOptions.FULL_TRACE),
            run_metadata=found,
        )
        labels = [node.timeline_label for device in found.step_stats.dev_stats for node in device.node_stats]
        return Counter(label.partition(" = ")[2].partition("(")[0] for label in labels)

    def __call__(self, signature: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Return the signature's outputs by name."""
        definition = self.signatures[signature]
        outputs = {name: info.name for name, info in definition.outputs.items()}
        return self._session.run(
            outputs, {definition.inputs[name].name: value for name, value in inputs.items()}
        )

    def __enter__(self) -> SavedModel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()
