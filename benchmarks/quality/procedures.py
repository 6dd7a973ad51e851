"""The ways to segment that are compared, and the label maps that they give of one picture.

All run on the layers that are exported. They share one pass of whatever they have in common: filters of the same
values are one tensor here, and TensorFlow computes equal nodes of a graph once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from slimserve.export.demo.constants import Constants
from slimserve.export.graph.heads.cells import cell_logits, full_size_labels
from slimserve.export.graph.kernels.portable import VariableLayers
from slimserve.export.networks import Network
from slimserve.export.networks.pages.fcn import FCN_8S, FCN_16S
from slimserve.export.networks.pages.vgg import VGG_16
from slimserve.export.plan.options import GraphOptions
from slimserve.export.types import Tensor

Tensors = Mapping[str, NDArray[Any]]


class Procedure(NamedTuple):
    """A way to segment: what the table calls it, how the short name in the picture reads, and what runs."""

    name: str
    short: str
    network: Network
    options: GraphOptions


PROCEDURES = (
    Procedure(
        "the tutorial's: unpadded, nearest", "tutorial", VGG_16, GraphOptions("valid", upsampling="nearest")
    ),
    Procedure("aligned, nearest", "nearest", VGG_16, GraphOptions(upsampling="nearest")),
    Procedure("aligned, bilinear: the default, and FCN-32s", "bilinear", VGG_16, GraphOptions()),
    Procedure("the same, guided", "guided", VGG_16, GraphOptions(upsampling="guided")),
    Procedure("output stride 16", "stride 16", VGG_16, GraphOptions(output_stride=16)),
    Procedure("output stride 8", "stride 8", VGG_16, GraphOptions(output_stride=8)),
    Procedure("FCN-16s", "FCN-16s", FCN_16S, GraphOptions(output_stride=16)),
    Procedure("FCN-8s", "FCN-8s", FCN_8S, GraphOptions(output_stride=8)),
)
CHECKPOINTS = tuple(dict.fromkeys(procedure.network.name for procedure in PROCEDURES))


class Segmenter:
    """Every procedure at once."""

    def __init__(self, checkpoints: Sequence[Tensors], procedures: Sequence[Procedure] = PROCEDURES) -> None:
        """Take the tensors of the checkpoints of all networks, VGG-16's first, by full name."""
        self._tensors = _merged(checkpoints)
        self._constants = Constants(self._tensors)
        self._procedures = procedures
        self._run = tf.function(
            self._build, input_signature=[tf.TensorSpec([None, None, 3], tf.uint8)], autograph=False
        )

    def label_maps(self, image: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]:
        """Label maps [H,W] of an RGB image [H,W,3] of 224x224 pixels or more, by the procedure's name."""
        names = [procedure.name for procedure in self._procedures]
        return dict(zip(names, (labels.numpy() for labels in self._run(image)), strict=True))

    def _build(self, image: Tensor) -> list[Tensor]:
        return [
            self._label_map(image, network, options.of(network))
            for _, _, network, options in self._procedures
        ]

    def _label_map(self, image: Tensor, network: Network, options: GraphOptions) -> Tensor:
        layers = VariableLayers(self._constants, network.scope)
        classes = network.classes({name: value.shape for name, value in self._tensors.items()})
        logits = cell_logits(image[None], network, layers, options)[0]
        logits = tf.ensure_shape(logits, [None, None, classes])
        return full_size_labels(logits, tf.shape(image)[:2], lambda: image, network, options)


def _merged(checkpoints: Sequence[Tensors]) -> dict[str, NDArray[Any]]:
    """All tensors; of those in VGG-16's scope, equal ones of different networks are one array."""
    merged: dict[str, NDArray[Any]] = {}
    for tensors in checkpoints:
        for name, value in tensors.items():
            twin = merged.get(name[name.find("vgg_16/") :])
            merged[name] = twin if twin is not None and np.array_equal(twin, value) else value
    return merged
