"""slim's own NASNets, as their authors' code builds them: tf-slim lacks it, and a package on the index carries it.

tf-models-research-object-detection 2.8.0.post1 (Apache 2.0) has research/slim of tensorflow/models beside it. Nothing
of it is committed.
"""

from __future__ import annotations

import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import tensorflow as tf
import tf_slim
from slimserve.export.verify.reference.slim_reference import tensor_where_slim_looks_for_it

from examples.published_materials import KEPT, downloaded

_PACKAGE = "tf_models_research_object_detection-2.8.0.post1"
_FOLDER = KEPT / "slim"


def _source() -> str:
    """The folder that `nets` is in."""
    if not (_FOLDER / "nets" / "nasnet" / "pnasnet.py").exists():
        with downloaded("--no-binary=:all:", "--no-build-isolation", _PACKAGE.replace("-", "==")) as folder:
            (source,) = folder.glob("*.tar.gz")
            with tarfile.open(source) as archive:
                for member in archive.getmembers():
                    name = member.name.removeprefix(f"{_PACKAGE}/slim/")
                    if name == "nets/__init__.py" or name.startswith("nets/nasnet/"):
                        archive.extract(member.replace(name=name), _FOLDER, filter="data")
    return str(_FOLDER)


class _Settings(SimpleNamespace):
    """What slim takes of TensorFlow 1's HParams."""

    def set_hparam(self, name: str, value: Any) -> None:
        setattr(self, name, value)


@contextmanager
def _tensorflow_1() -> Iterator[None]:
    """What slim's code imports of it, and where it looks for its own."""
    contrib: Any = ModuleType("tensorflow.contrib")
    contrib.training = SimpleNamespace(HParams=_Settings)
    with (
        mock.patch.dict(sys.modules, {"tensorflow.contrib": contrib}),
        mock.patch.object(sys, "path", [_source(), *sys.path]),
        tensor_where_slim_looks_for_it(),
    ):
        yield


def build(name: str, pixels: tf.Tensor, classes: int, *, is_training: bool = False) -> tf.Tensor:
    """Build slim's network of that name in the current graph: prepared images [N, H, W, 3] to logits [N, classes]."""
    with _tensorflow_1():
        from nets.nasnet import nasnet, pnasnet  # type: ignore[import-not-found]

        module = pnasnet if name.startswith("pnasnet") else nasnet
        defaults = getattr(module, f"{name}_arg_scope")()
        with tf_slim.arg_scope(defaults), tf_slim.arg_scope([tf_slim.batch_norm], updates_collections=None):
            logits, _ = getattr(module, f"build_{name}")(pixels, classes, is_training=is_training)
    return logits
