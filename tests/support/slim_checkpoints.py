"""Checkpoints that tf-slim's own graphs write, with random weights, and what these graphs answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
import tensorflow as tf
from slimserve.export.networks import Network
from slimserve.export.verify.reference.slim_reference import build_in_slim
from slimserve.export.weights.recipes import load_variables

# Standard deviation of what the first convolution gives for pixels that only lose their mean.
_FIRST_SPREAD = 85.0
# Of the classifier's weights behind such pixels, where no normalization is between, so that no probability is 0.
_CLASSIFIER = 0.02
# Of what a residual unit adds: there are up to 50 of them.
_RESIDUAL = 0.3
# Of the classifier's weights behind their sum where nothing normalizes it.
_BEHIND_RESIDUALS = 0.1


class SlimNetwork:
    """A network built by tf-slim, with random weights; a context manager."""

    def __init__(self, network: Network, classes: int, seed: int = 0) -> None:
        import tf_slim

        self._network = network
        with tf.Graph().as_default() as graph:
            self._pixels = tf.compat.v1.placeholder(tf.float32, [1, None, None, 3])
            self._logits = build_in_slim(network, self._pixels, classes)
            self.variables = tf_slim.get_model_variables()
            self._session = tf.compat.v1.Session(graph=graph)
            rng = np.random.Generator(np.random.SFC64(seed))
            values = (
                (variable.op.name, random_values(variable.op.name, variable.shape.as_list(), network, rng))
                for variable in self.variables
            )
            load_variables({variable.op.name: variable for variable in self.variables}, values, self._session)

    def save(self, path: Path, version: int = 2) -> Path:
        """Write a checkpoint as slim does: V1 or V2, with what training leaves beside the network."""
        with self._session.graph.as_default():
            beside = {
                "global_step": tf.Variable(7, dtype=tf.int64),
                f"{self._network.prefix}AuxLogits/Conv2d_1b_1x1/weights": tf.Variable(tf.zeros([1, 1, 2, 2])),
                f"{self.variables[0].op.name}/ExponentialMovingAverage": tf.Variable(tf.zeros([2])),
            }
            self._session.run([variable.initializer for variable in beside.values()])
            variables = {variable.op.name: variable for variable in self.variables} | beside
            saver = tf.compat.v1.train.Saver(variables, write_version=version)
            saver.save(self._session, str(path), write_meta_graph=False, write_state=False)
        return path

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The variables' shapes by name."""
        return {variable.op.name: tuple(variable.shape.as_list()) for variable in self.variables}

    def values(self) -> dict[str, np.ndarray]:
        """The weights by name."""
        return self._session.run({variable.op.name: variable for variable in self.variables})

    def logits(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """float32 [h, w, C] of each prepared image [H, W, 3]."""
        return [self._session.run(self._logits, {self._pixels: image[None]})[0] for image in images]

    def __enter__(self) -> SlimNetwork:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()


def random_weights(network: Network, classes: int) -> dict[str, np.ndarray]:
    """All variables of a network by name."""
    rng = np.random.Generator(np.random.SFC64(4))
    return {
        name: random_values(name, [size or classes for size in shape], network, rng)
        for name, shape in network.expected_variables().items()
    }


def random_values(name: str, shape: Sequence[int], network: Network, rng: np.random.Generator) -> np.ndarray:
    """Values that keep the spread of activations, layer by layer, so that every variable matters in the logits.

    Weights are He et al.'s (arXiv:1502.01852).
    """
    layer, _, leaf = name.rpartition("/")
    large = network.preprocessing.scale == 1  # pixels that only lose their mean
    normal = rng.standard_normal(shape, np.float32)
    if leaf == "depthwise_weights":
        return normal / np.float32(np.sqrt(np.prod(shape[:2])))
    residual = "bottleneck" in layer and "/conv3" in layer
    if leaf.endswith("weights"):
        strength = 1.0
        if layer.endswith("fc8"):
            strength = _CLASSIFIER
        elif layer.endswith("logits") and large:
            strength = _BEHIND_RESIDUALS
        elif residual and "bottleneck_v2" in layer:
            strength = _RESIDUAL
        return normal * np.float32(strength * np.sqrt(2 / np.prod(shape[:-1])))
    if leaf == "gamma":
        return np.float32(_RESIDUAL if residual else 1.0) * (1 + np.float32(0.2) * normal)
    first = layer.removeprefix(f"{network.scope}/") in ("conv1", "conv1/BatchNorm") and leaf != "beta"
    scale = np.float32(_FIRST_SPREAD if first and large else 1.0)
    if leaf == "moving_variance":
        return np.asarray(scale**2 * (np.float32(0.5) + np.minimum(np.abs(normal), np.float32(1))))
    return np.float32(0.3) * scale * normal
