"""Residual networks of 50, 101, 152 and 200 layers, as `tf_slim.nets.resnet_v1` and `resnet_v2` have them.

And the beta variant of version 1, a backbone, as `research/deeplab/core/resnet_v1_beta.py` of tensorflow/models has it.

Version 1: He et al., arXiv:1512.03385; version 2, which normalizes before each unit: He et al., arXiv:1603.05027. In
both, the last unit of a block has its stride, where the papers give it to the first of the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from ...types import Padding, Tensor
from ...weights.folding import BatchNorm
from ..layers import Convolution, Layers
from ..network import Network, SlimReference
from ..preprocessing import INCEPTION_PREPROCESSING, VGG_PREPROCESSING, Evaluation
from ..strides import Strides
from ..variables import Channels

_NORM = BatchNorm(epsilon=1e-5, scaled=True)
_CHANNELS = (64, 128, 256, 512)  # of the bottleneck in each block
_UNITS = {
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
    200: (3, 24, 36, 3),
}  # of each block, by depth
_GUESSED = (
    "slim trains and evaluates resnet_v2 with vgg preprocessing at 224 unless told otherwise, and the published "
    "checkpoints, of 1001 classes, were trained with inception preprocessing at 299"
)
_BETA_MULTI_GRID = (1, 2, 4)
_PUBLISHED: Channels = MappingProxyType({})
_RECEPTIVE_FIELDS = {50: 483, 101: 1027, 152: 1507, 200: 1763}


@dataclass(frozen=True)
class _Unit:
    """A bottleneck unit: 1x1, 3x3 and 1x1 convolutions beside a shortcut."""

    scope: str  # of its variables
    channels: int  # of the 3x3 convolution; the unit returns four times as many
    stride: int  # of the result
    rate: int  # of the 3x3 convolution
    projected: bool  # whether the shortcut is a convolution, as the number of channels changes


def _units(
    depth: int, version: int, output_stride: int, multi_grid: Sequence[int] = (1, 1, 1), within: str = ""
) -> Iterator[_Unit]:
    """The units in order, their variables below `within`; once `output_stride` is reached, dilation takes its place.

    The rates of the last block's units are multiplied by those of `multi_grid`.
    """
    strides = Strides(output_stride // 4)
    for block, (count, channels) in enumerate(zip(_UNITS[depth], _CHANNELS, strict=True), 1):
        for unit in range(1, count + 1):
            stride, rate = strides.next(2 if unit == count and block < len(_CHANNELS) else 1)
            scope = f"{within}block{block}/unit_{unit}/bottleneck_v{version}"
            grid = multi_grid[unit - 1] if block == len(_CHANNELS) else 1
            yield _Unit(scope, channels, stride, grid * rate, projected=unit == 1)


def _unit(
    net: Tensor, layers: Layers, unit: _Unit, version: int, published: Channels = _PUBLISHED
) -> tuple[Tensor, Tensor]:
    """What the unit gives, and what its last convolution does.

    Version 1 normalizes what each convolution gives, version 2 what the unit takes and its inner ones give.
    """
    scope = unit.scope
    channels = published.get(f"{scope}/conv2", unit.channels)
    outputs = published.get(f"{scope}/conv3", 4 * unit.channels)
    norm = _NORM if version == 1 else None
    inside = net if version == 1 else layers.batch_norm(net, f"{scope}/preact", _NORM)
    if unit.projected:
        projection = Convolution(f"{scope}/shortcut", outputs, 1, stride=unit.stride, relu=False, norm=norm)
        shortcut = layers.conv(inside, projection)
    else:
        shortcut = net if unit.stride == 1 else layers.max_pool(net, 1, stride=unit.stride)
    middle = Convolution(f"{scope}/conv2", channels, 3, unit.stride, unit.rate, "FIXED", norm=_NORM)
    inside = layers.conv(inside, Convolution(f"{scope}/conv1", channels, 1, norm=_NORM))
    inside = layers.conv(inside, middle)
    residual = layers.conv(inside, Convolution(f"{scope}/conv3", outputs, 1, relu=False, norm=norm))
    return layers.add(shortcut, residual, relu=version == 1), residual


def beta_features(
    depth: int, images: Tensor, layers: Layers, output_stride: int, published: Channels, within: str
) -> tuple[Tensor, Tensor]:
    """What the last unit of the beta variant gives, and the last convolution of a unit at a stride of 4.

    Three convolutions take the place of the first. Their variables are below `within`, in `published` too: the channels
    that are not the published ones.
    """
    net = images
    for number, (channels, stride) in enumerate(((64, 2), (64, 1), (128, 1)), 1):
        scope = f"{within}conv1_{number}"
        channels = published.get(scope, channels)
        net = layers.conv(net, Convolution(scope, channels, 3, stride, padding="FIXED", norm=_NORM))
    net = layers.max_pool(net, 3, stride=2, padding="SAME")
    for unit in _units(depth, 1, output_stride, _BETA_MULTI_GRID, within):
        net, last = _unit(net, layers, unit, 1, published)
        if unit.scope.startswith(f"{within}block1/unit_2/"):
            fine = last
    return net, fine


def _network(version: int, depth: int) -> Network:
    """The logits of an image are the mean of its cells': the same as pooling the features before the last layer.

    Images of 32k+1 pixels have their first and last cells on their first and last pixels; so the border.
    """

    def logits(images: Tensor, layers: Layers, head_padding: Padding, output_stride: int) -> Tensor:
        first = version == 1
        stem = Convolution("conv1", 64, 7, 2, padding="FIXED", relu=first, norm=_NORM if first else None)
        net = layers.max_pool(layers.conv(images, stem), 3, stride=2, padding="SAME")
        for unit in _units(depth, version, output_stride):
            net, _ = _unit(net, layers, unit, version)
        if version == 2:
            net = layers.batch_norm(net, "postnorm", _NORM)
        return layers.conv(net, Convolution("logits", None, 1, relu=False))

    name = f"resnet_v{version}_{depth}"
    return Network(
        name=name,
        scope=name,
        reference=SlimReference(
            f"tf_slim.nets.resnet_v{version}", name, "resnet_arg_scope", {"global_pool": False}
        ),
        logits=logits,
        preprocessing=VGG_PREPROCESSING,
        crop=224,
        published={1001: Evaluation(INCEPTION_PREPROCESSING, 299)} if version == 2 else {},
        guessed=_GUESSED if version == 2 else "",
        centre=0.5,
        border=(0, 1),
        receptive_field=_RECEPTIVE_FIELDS[depth],
        pools_globally=True,
    )


NETWORKS = tuple(_network(version, depth) for version in (1, 2) for depth in _UNITS)
