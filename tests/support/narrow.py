"""Networks with a sixteenth of their channels: NumPy can follow, and an export takes little."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from slimserve.export.demo.checkpoint_writer import write_checkpoint
from slimserve.export.demo.scenes import CLASS_NAMES
from slimserve.export.networks import Network
from slimserve.export.networks.layers import Convolution, Layers
from slimserve.export.networks.pages.vgg import VGG_16
from slimserve.export.pipeline import export_checkpoint
from slimserve.export.plan.options import GraphOptions, Request
from slimserve.export.types import Padding, Tensor

NARROWER = 16


class _Narrower:
    """Layers of which the convolutions have fewer channels."""

    def __init__(self, layers: Layers) -> None:
        self._layers = layers

    def __getattr__(self, name: str) -> Any:
        return getattr(self._layers, name)

    def conv(self, net: Tensor, convolution: Convolution) -> Tensor:
        channels = convolution.channels and convolution.channels // NARROWER
        return self._layers.conv(net, replace(convolution, channels=channels))


def narrow(network: Network) -> Network:
    """The page with a sixteenth of the channels; it is its own reference, as tf-slim has no such network."""

    def logits(images: Tensor, layers: Layers, head_padding: Padding, output_stride: int) -> Tensor:
        return network.logits(images, _Narrower(layers), head_padding, output_stride)  # type: ignore[arg-type]

    return replace(network, reference=None, logits=logits)


def narrow_weights(network: Network, classes: int) -> dict[str, np.ndarray]:
    """Random variables of the narrow network, by full name; the last layer's are small: no class is certain."""
    random = np.random.default_rng(3)
    weights = {}
    for name, shape in narrow(network).expected_variables().items():
        sizes = [classes if size is None else size for size in shape]
        spread = 1.0 if len(sizes) == 1 else np.sqrt(2 / np.prod(sizes[:-1]))
        spread *= 0.01 if None in shape else 1.0
        weights[name] = random.normal(0, spread, sizes).astype(np.float32)
    return weights


def export_narrow(out: Path, options: GraphOptions, network: Network = VGG_16) -> Path:
    """Export the narrow network with the classes of the demo; return the version folder in `out`."""
    checkpoint = out / f"{network.name}.ckpt"
    write_checkpoint(checkpoint, narrow_weights(network, len(CLASS_NAMES)))
    Path(f"{checkpoint}.labels.tsv").write_text("".join(f"{name}\t{name}\n" for name in CLASS_NAMES))
    request = Request(checkpoint, out / network.name, network=narrow(network), graph=options)
    return export_checkpoint(request).path
