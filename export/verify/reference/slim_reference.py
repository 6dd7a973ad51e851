"""A checkpoint run through tf-slim: what every export is compared with."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import tensorflow as tf
import tf_slim
from tf_slim.layers.utils import ops

from ...networks import Network
from ...plan.plan import Plan
from ...types import Array, Tensor
from ...weights.recipes import load_variables
from .slim_layers import NO_UPDATES, SlimLayers


class SlimReference(AbstractContextManager["SlimReference"]):
    """The checkpoint in tf-slim, in a session of its own; a context manager.

    Its tensors stay in memory until the end.
    """

    def __init__(self, plan: Plan) -> None:
        """Build the network in tf-slim, and give it the checkpoint's tensors, read anew."""
        with tf.Graph().as_default():
            self._pixels = tf.compat.v1.placeholder(tf.float32, [1, None, None, 3])
            self._logits = build_in_slim(plan.network, self._pixels, len(plan.labels.names))
            variables = {variable.op.name: variable for variable in tf_slim.get_model_variables()}
            self._session = tf.compat.v1.Session()
        try:
            # TensorFlow's own V1 reader would take seconds and twice the checkpoint's size in memory.
            load_variables(variables, plan.checkpoint.read_all(variables), self._session)
        except BaseException:
            self._session.close()
            raise

    def logits(self, prepared: Array) -> Array:
        """Logits float32 [h, w, C] at the network's own stride, of a prepared image float32 [H, W, 3]."""
        return np.asarray(self._session.run(self._logits, {self._pixels: prepared[None]})[0])

    def __exit__(self, *raised: object) -> None:
        self._session.close()


def about_reference(network: Network) -> str:
    """What the network is compared with, in words."""
    if network.reference:
        return f"tf-slim's own network ({network.reference.module}.{network.reference.function})"
    return (
        f"the exporter's own description of {network.name}, built of tf-slim's layers, as tf-slim has no such network "
        f"for crops of {network.crop}x{network.crop}: an error of the description itself would not show (the project's "
        "tests compare it with other implementations)"
    )


def build_in_slim(network: Network, pixels: Tensor, classes: int) -> Tensor:
    """Build the network in the current graph: prepared pixels [N, H, W, 3] to logits [N, h, w, classes]."""
    with warnings.catch_warnings(), tensor_where_slim_looks_for_it():
        warnings.simplefilter("ignore")  # of tf-slim about Keras, about which our user can do nothing
        reference = network.reference
        if reference is None:
            with tf.compat.v1.variable_scope(network.scope):
                return network.logits(pixels, SlimLayers(classes), "VALID", network.stride)
        module = importlib.import_module(reference.module)
        defaults = getattr(module, reference.arg_scope)() if reference.arg_scope else {}
        with tf_slim.arg_scope(_without_updates(defaults)):
            build = getattr(module, reference.function)
            logits, _ = build(pixels, num_classes=classes, is_training=False, **reference.options)
        return logits


def _without_updates(defaults: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The arguments of an arg_scope, by operation, with NO_UPDATES wherever batch normalization gets its own."""
    changed = {}
    for operation, arguments in defaults.items():
        changed[operation] = dict(arguments)
        if "normalizer_params" in arguments:
            changed[operation]["normalizer_params"] = {**arguments["normalizer_params"], **NO_UPDATES}
        if "updates_collections" in arguments:
            changed[operation] |= NO_UPDATES
    return changed


@contextmanager
def tensor_where_slim_looks_for_it() -> Iterator[None]:
    """The batch normalization of tf-slim 1.1 asks whether something is an `ops.Tensor`, since moved by TensorFlow."""
    missing = not hasattr(ops, "Tensor")
    if missing:
        ops.Tensor = tf.Tensor
    try:
        yield
    finally:
        if missing:
            del ops.Tensor
