"""From the demo's VGG-16 to an FCN: the score layers of the third and fourth block, solved in closed form.

As in Long et al., arXiv:1411.4038, section 4.2, the finer network starts from the coarser one. Upsampling is linear
and fixed, so the network's scores are linear in the weights of all score layers: one ridge regression finds them, and
how the scores of fc8 are best mixed.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from ..graph.images.preprocessing import prepare
from ..graph.kernels.portable import VariableLayers
from ..networks import Network
from ..networks.layers import Convolution
from ..networks.pages.vgg import VGG_16
from ..types import Progress, Tensor
from .constants import Constants
from .random_weights import Tensors
from .readout import ridge
from .scenes import compose
from .training import REGIONS, cell_scores

SCENES = 60
"""Pictures to fit."""
BATCH = 15
STRENGTH = 0.03
"""Penalty of the ridge regression."""


class _SkipFeatures(VariableLayers):
    """A network whose score layers let their features through, and whose sums lay them side by side."""

    def conv(self, net: Tensor, convolution: Convolution) -> Tensor:
        return net if convolution.scope.endswith("_fc") else super().conv(net, convolution)

    def add(self, net: Tensor, residual: Tensor, *, scale: float = 1.0, relu: bool = False) -> Tensor:
        return self.concat([net, residual])


def with_skips(vgg_16: Tensors, network: Network, seed: int, progress: Progress) -> Tensors:
    """All tensors of an FCN of `export.networks.pages.fcn` by full name, from those of the demo's VGG-16.

    Its scenes are not those that fc8 was fitted to, on which fc8 is too sure of itself.
    """
    tensors = {
        f"{network.scope}/{name}" if name.startswith(f"{VGG_16.scope}/") else name: value
        for name, value in vgg_16.items()
        if not name.endswith("/mean_rgb")
    }
    skips = {
        name.removesuffix("/weights"): int(shape[2] or 0)
        for name, shape in network.expected_variables().items()
        if name.endswith("_fc/weights")
    }
    if not skips:
        return tensors
    classes = tensors[f"{network.scope}/vgg_16/fc8/biases"].size
    features, scores = _rows(tensors, network, seed, progress)
    progress("solving the score layers", 0)
    spread = features.std(axis=0)
    spread[spread == 0] = 1
    readout = ridge(features / spread, scores, STRENGTH)
    mixing, *own = np.split(
        (readout.weights / spread[:, None]).astype(np.float32), np.cumsum([classes, *skips.values()])[:-1]
    )
    for kind in ("weights", "biases"):
        name = f"{network.scope}/vgg_16/fc8/{kind}"
        tensors[name] = tensors[name] @ mixing
    for scope, weights in zip(skips, own, strict=True):
        tensors[f"{scope}/weights"] = weights[None, None]
        tensors[f"{scope}/biases"] = np.zeros(classes, np.float32)
    tensors[f"{scope}/biases"] += readout.biases.astype(np.float32)
    progress("solving the score layers", 1)
    return tensors


def _rows(
    tensors: Tensors, network: Network, seed: int, progress: Progress
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What the score layers see in generated scenes, float32 [n,d], and the scores it should give, float32 [n,C]."""
    layers = _SkipFeatures(Constants(tensors), network.scope)
    run = tf.function(lambda images: network.logits(images, layers, "SAME", network.stride), autograph=False)
    rng = np.random.default_rng([seed, 2])
    features: list[NDArray[np.float32]] = []
    scores: list[NDArray[np.float64]] = []
    for done in range(0, SCENES, BATCH):
        progress("features of scenes", done / SCENES)
        images, label_maps = zip(*(_scene(rng) for _ in range(BATCH)), strict=True)
        features.append(run(prepare(np.stack(images), VGG_16)).numpy())
        cells = features[-1].shape[1]
        scores += [cell_scores(label_map, cells) for label_map in label_maps]
    progress("features of scenes", 1)
    rows = np.concatenate(features)
    return rows.reshape(-1, rows.shape[-1]), np.stack(scores).reshape(len(rows) * cells**2, -1).astype(
        np.float32
    )


def _scene(rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    return compose(rng, VGG_16.crop, VGG_16.crop, int(rng.integers(REGIONS[0], REGIONS[1] + 1)))
