"""A checkpoint run through tf-slim: what every export is compared with."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf
import tf_slim
from tf_slim.layers.utils import ops

from ..networks import Network
from ..plan import Plan
from ..types import Tensor
from ..weights.recipes import load_variables
from .slim_layers import NO_UPDATES, SlimLayers


def slim_logits(plan: Plan, images: Sequence[np.ndarray]) -> list[np.ndarray]:
    """tf-slim's logits float32 [h, w, classes], at the network's own stride, of prepared images float32 [H, W, 3]."""
    with tf.Graph().as_default():
        pixels = tf.compat.v1.placeholder(tf.float32, [1, None, None, 3])
        logits = build_in_slim(plan.network, pixels, len(plan.labels.names))
        variables = {variable.op.name: variable for variable in tf_slim.get_model_variables()}
        with tf.compat.v1.Session() as session:
            # TensorFlow's own V1 reader would take seconds and twice the checkpoint's size in memory.
            load_variables(variables, plan.checkpoint.read_all(variables), session)
            return [np.asarray(session.run(logits, {pixels: image[None]})[0]) for image in images]


def build_in_slim(network: Network, pixels: Tensor, classes: int) -> Tensor:
    """Build the network in the current graph: prepared pixels [N, H, W, 3] to logits [N, h, w, classes]."""
    with warnings.catch_warnings(), _tensor_where_slim_looks_for_it():
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
def _tensor_where_slim_looks_for_it() -> Iterator[None]:
    """The batch normalization of tf-slim 1.1 asks whether something is an `ops.Tensor`, since moved by TensorFlow."""
    missing = not hasattr(ops, "Tensor")
    if missing:
        ops.Tensor = tf.Tensor
    try:
        yield
    finally:
        if missing:
            del ops.Tensor
