"""DeepLab checkpoints: random weights of few channels under the public names, and fine-tuning by slim's loop."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_slim as slim
from slimserve.export.networks import NETWORKS, Network
from slimserve.export.verify.reference.slim_reference import build_in_slim

from tests.support.slim_checkpoints import random_values

v1 = tf.compat.v1
DECODER = "decoder/feature_projection0"
Weights = dict[str, np.ndarray]


def narrowed(network: Network, by: int) -> Network:
    """The network that the exporter makes of a checkpoint with so many times fewer channels."""
    assert network.as_stored
    return network.as_stored(_shapes(network, 2, by))


def _shapes(network: Network, classes: int, by: int) -> dict[str, tuple[int, ...]]:
    return {
        name: tuple(classes if size is None else size if size <= 8 else size // by for size in shape)
        for name, shape in network.expected_variables().items()
    }


def with_all_parts(name: str) -> Network:
    """The network with image pooling, atrous branches and a decoder."""
    network = NETWORKS[name]
    assert network.as_stored
    names = [f"aspp{number}_depthwise/depthwise_weights" for number in (1, 2, 3)]
    names += [f"{DECODER}/weights", "image_pooling/weights"]
    return network.as_stored(dict.fromkeys(names, ()))


def random_weights(network: Network, classes: int, by: int = 1, seed: int = 4) -> Weights:
    """Values for every variable, of so many times fewer channels."""
    rng = np.random.Generator(np.random.SFC64(seed))
    shapes = _shapes(network, classes, by)
    return {name: random_values(name, shape, network, rng) for name, shape in shapes.items()}


def shapes_of(weights: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    return {name: value.shape for name, value in weights.items()}


def fine_tuned(network: Network, weights: Weights, classes: int, folder: Path) -> Path:
    """Train on other classes as DeepLab's train.py does: all but the last layer restored, normalization as it is.

    Returns the prefix of the checkpoint that slim's loop writes.
    """
    rng = np.random.default_rng(11)
    images = rng.uniform(-1, 1, (2, 33, 49, 3)).astype(np.float32)
    with tf.Graph().as_default():
        step = v1.train.get_or_create_global_step()
        logits = build_in_slim(network, tf.constant(images), classes)
        truth = rng.integers(0, classes, [int(side) for side in logits.shape[:3]])
        loss = v1.losses.sparse_softmax_cross_entropy(truth, logits)
        update = slim.learning.create_train_op(loss, v1.train.MomentumOptimizer(0.01, 0.9), step)
        kept = {
            variable: weights[variable.op.name]
            for variable in slim.get_model_variables()
            if not variable.op.name.startswith("logits/")
        }
        assign, values = slim.assign_from_values(
            {variable.op.name: value for variable, value in kept.items()}
        )
        slim.learning.train(
            update,
            str(folder),
            number_of_steps=3,
            init_fn=lambda session: session.run(assign, values),
            save_summaries_secs=0,
            save_interval_secs=0,
        )
    state: Any = v1.train.get_checkpoint_state(str(folder))
    return Path(state.model_checkpoint_path)
