"""A network of 6 MB, for tests that export dozens of times.

`python -m tests.support.small_network` exports it as a user does.

It is VGG in small.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from slimserve.export.cli import main
from slimserve.export.demo.checkpoint_writer import write_checkpoint
from slimserve.export.networks import NETWORKS, Network
from slimserve.export.networks.layers import Convolution, Layers
from slimserve.export.networks.pages.vgg import VGG_16
from slimserve.export.types import Padding, Tensor

CLASSES = 3


def _logits(images: Tensor, layers: Layers, head_padding: Padding, output_stride: int) -> Tensor:
    net = images
    for block in range(1, 6):
        net = layers.max_pool(layers.conv(net, Convolution(f"conv{block}", 8, 3)))
    net = layers.conv(net, Convolution("fc6", 4096, 7, padding=head_padding))
    return layers.conv(net, Convolution("fc8", None, 1, relu=False))


SMALL = replace(
    VGG_16,
    name="small",
    scope="small",
    reference=None,
    logits=_logits,
    output_strides=(32,),
)


def know_the_small_network() -> None:
    """Let `--net small` export it in this process, which is to run no other tests then."""
    NETWORKS[SMALL.name] = SMALL


def small_weights(network: Network = SMALL, classes: int = CLASSES) -> dict[str, np.ndarray]:
    """Random values of the network's variables, by name."""
    random = np.random.default_rng(5)
    tensors = {}
    for name, shape in network.expected_variables().items():
        sizes = [classes if size is None else size for size in shape]
        tensors[name] = random.normal(0, np.sqrt(2 / np.prod(sizes[:-1])), sizes).astype(np.float32)
    return tensors


def small_checkpoint(path: Path) -> Path:
    """Write a checkpoint of the network with random weights."""
    write_checkpoint(path, small_weights())
    return path


if __name__ == "__main__":
    know_the_small_network()
    sys.exit(main())
