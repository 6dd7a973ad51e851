"""A written SavedModel, run as a server runs it: by the names of its signatures' inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import tensorflow as tf

from ..errors import ExportError
from ..savedmodel.write import SERVE_TAG
from ..types import Array
from .folder import said


class Exported(AbstractContextManager["Exported"]):
    """A SavedModel in a session; a context manager."""

    def __init__(self, folder: Path) -> None:
        # Optimizing the graph would take longer than the few runs that it is for.
        config = tf.compat.v1.ConfigProto()
        config.graph_options.rewrite_options.disable_meta_optimizer = True
        self._session = tf.compat.v1.Session(graph=tf.Graph(), config=config)
        with self._session.graph.as_default():
            loaded = tf.compat.v1.saved_model.load(self._session, [SERVE_TAG], str(folder))
        self.signatures = dict(loaded.signature_def)  # by name

    def __call__(self, *names: str, tensor: str | None = None, **inputs: Any) -> dict[str, dict[str, Array]]:
        """Run signatures that take the same inputs, in one pass.

        Args:
            names: of the signatures; those that the model lacks are left out.
            tensor: the name of one more to fetch; it is returned as `{"": {tensor: value}}`.
            inputs: of the first signature, by name.

        Returns:
            By signature, its outputs by name.

        Raises:
            ExportError: the model fails on it.
        """
        fetches: dict[str, dict[str, str]] = {
            name: {output: info.name for output, info in self.signatures[name].outputs.items()}
            for name in names
            if name in self.signatures
        }
        if tensor:
            fetches[""] = {tensor: tensor}
        known: Mapping[str, Any] = self.signatures[names[0]].inputs
        fed = {known[name].name: value for name, value in inputs.items()}
        try:
            answers: dict[str, dict[str, Array]] = self._session.run(fetches, fed)
        except tf.errors.OpError as error:
            raise ExportError(
                f"the export's signature {names[0]} fails on an ordinary image: {said(error)}; nothing was published: "
                "this is a fault of the exporter, please report it with the checkpoint's network"
            ) from error
        return answers

    def __exit__(self, *raised: object) -> None:
        self._session.close()
