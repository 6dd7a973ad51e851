"""Xception of 41, 65 and 71 layers, as `research/deeplab/core/xception.py` of tensorflow/models has them: a backbone.

Chollet, arXiv:1610.02357, made deeper, its maximum pools replaced by strides: Chen et al., arXiv:1802.02611, figure 4.
Every depthwise convolution is normalized before its channels are mixed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from ...types import Tensor
from ...weights.folding import BatchNorm, Depthwise
from ..layers import KEPT, Convolution, Layers
from ..strides import Strides
from ..variables import Channels

_Conv = partial(Convolution, norm=BatchNorm(epsilon=0.001, scaled=True))
# Of the entry flow's blocks, by depth: channels and stride.
_ENTRY = {
    41: ((128, 2), (256, 2), (728, 2)),
    65: ((128, 2), (256, 2), (728, 2)),
    71: ((128, 2), (256, 1), (256, 2), (728, 1), (728, 2)),
}
_MIDDLE = {41: 8, 65: 16, 71: 16}  # units
_FINE = {41: 2, 65: 2, 71: 3}  # the block of the entry flow whose second convolution a decoder takes


@dataclass(frozen=True)
class _Module:
    """Three separable convolutions, the last with the stride, beside a shortcut."""

    scope: str  # of its variables
    channels: tuple[int, int, int]  # of each convolution
    stride: int = 1  # of the result
    shortcut: str = "convolution"  # a convolution, the module's input itself, or none
    activated: bool = False  # whether ReLU follows both parts of each convolution; else it comes before


def _modules(depth: int) -> Iterator[_Module]:
    for number, (channels, stride) in enumerate(_ENTRY[depth], 1):
        yield _Module(f"entry_flow/block{number}/unit_1", (channels,) * 3, stride)
    for unit in range(1, _MIDDLE[depth] + 1):
        yield _Module(f"middle_flow/block1/unit_{unit}", (728,) * 3, shortcut="input")
    yield _Module("exit_flow/block1/unit_1", (728, 1024, 1024), 2)
    yield _Module("exit_flow/block2/unit_1", (1536, 1536, 2048), shortcut="none", activated=True)


def features(
    depth: int, images: Tensor, layers: Layers, output_stride: int, published: Channels, within: str
) -> tuple[Tensor, Tensor]:
    """What the exit flow gives, and the second convolution of a module of the entry flow, at a stride of 4.

    Their variables are below `within`, in `published` too: the channels that are not the published ones.
    """
    strides = Strides(output_stride)
    net = images
    for scope, channels, stride in (("conv1_1", 32, 2), ("conv1_2", 64, 1)):
        scope = f"{within}entry_flow/{scope}"
        net = layers.conv(
            net, _Conv(scope, published.get(scope, channels), 3, *strides.next(stride), "FIXED")
        )
    for module in _modules(depth):
        net, second = _module(net, layers, module, strides.next(module.stride), published, within)
        if module.scope.startswith(f"entry_flow/block{_FINE[depth]}/"):
            fine = second
    return net, fine


def _module(
    net: Tensor,
    layers: Layers,
    module: _Module,
    strides: tuple[int, int],
    published: Channels,
    within: str,
) -> tuple[Tensor, Tensor]:
    """What a module gives, and what its second convolution does, before ReLU."""
    stride, rate = strides
    scope = f"{within}{module.scope}/xception_module"
    inside = second = net
    for number, channels in enumerate(module.channels, 1):
        part = f"{scope}/separable_conv{number}"
        taken = inside if module.activated else layers.relu(inside)
        depthwise = _Conv(
            f"{part}_depthwise",
            KEPT,
            3,
            stride if number == 3 else 1,
            rate,
            "FIXED" if number == 3 and stride > 1 else "SAME",
            relu=module.activated,
            stored=Depthwise(),
        )
        outputs = published.get(f"{part}_pointwise", channels)
        mixed = _Conv(f"{part}_pointwise", outputs, 1, relu=module.activated)
        inside = layers.conv(layers.conv(taken, depthwise), mixed)
        if number == 2:
            second = inside
    if module.shortcut == "none":
        return inside, second
    if module.shortcut == "convolution":
        net = layers.conv(net, _Conv(f"{scope}/shortcut", outputs, 1, stride, relu=False))
    return layers.add(inside, net), second
