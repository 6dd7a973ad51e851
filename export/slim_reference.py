"""A checkpoint run through tf-slim: what every export is compared with."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Sequence
from contextlib import nullcontext

import numpy as np
import tensorflow as tf

from export.checkpoint import Checkpoint
from export.networks.network import Network, Tensor


def slim_logits(
    checkpoint: Checkpoint, network: Network, classes: int, images: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """tf-slim's logits of prepared images, at the network's own stride.

    Args:
        checkpoint: where the variables come from.
        network: what to build, classes: its number of logits.
        images: each float32 [H, W, 3].

    Returns:
        float32 [h, w, classes] for each image.
    """
    import tf_slim  # slow, and only the comparison needs it

    with tf.Graph().as_default():
        pixels = tf.compat.v1.placeholder(tf.float32, [1, None, None, 3])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tf-slim about Keras, about which our user can do nothing
            logits = _build(network, pixels, classes)
        variables = {variable.op.name: variable for variable in tf_slim.get_model_variables()}
        with tf.compat.v1.Session() as session:
            # TensorFlow's own V1 reader would take seconds and twice the checkpoint's size in memory.
            for name, value in checkpoint.read_all(variables):
                variables[name].load(value, session)
            return [np.asarray(session.run(logits, {pixels: image[None]})[0]) for image in images]


def _build(network: Network, pixels: Tensor, classes: int) -> Tensor:
    import tf_slim

    reference = network.reference
    if reference is None:
        from export.slim_layers import SlimLayers

        with tf.compat.v1.variable_scope(network.scope):
            return network.logits(pixels, SlimLayers(classes), "VALID", network.stride)
    module = importlib.import_module(reference.module)
    scope = (
        tf_slim.arg_scope(getattr(module, reference.arg_scope)()) if reference.arg_scope else nullcontext()
    )
    with scope:
        build = getattr(module, reference.function)
        logits, _ = build(pixels, num_classes=classes, is_training=False, **reference.options)
    return logits
