"""MobileNets, as slim's `mobilenet_v1.py` and `mobilenet/mobilenet_v2.py` have them, of every width.

Version 1: Howard et al., arXiv:1704.04861; version 2: Sandler et al., arXiv:1801.04381. The channels of every layer are
read off the checkpoint's variables, which are named alike for all widths; those below are of width 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from ...types import Padding, Shape, Tensor
from ...weights.folding import BatchNorm, Depthwise
from ..layers import KEPT, Convolution, Layers
from ..network import Network
from ..preprocessing import INCEPTION_PREPROCESSING
from ..strides import Strides
from ..variables import Channels, channels_of

_Conv = partial(Convolution, relu6=True, norm=BatchNorm(epsilon=0.001, scaled=True))
_WIDTH_1: Channels = MappingProxyType({})
_HEAD = "Logits/Conv2d_1c_1x1"
# Table 1 of version 1: stride of the depthwise and channels of the pointwise convolutions.
_SEPARABLE = (
    *((1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512)),
    *[(1, 512)] * 5,
    *((2, 1024), (1, 1024)),
)
# Table 2 of version 2: expansion, channels, repetitions, stride of the first.
_BOTTLENECKS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_LAST_AT_4 = 2  # the number of a bottleneck


def _depthwise(net: Tensor, layers: Layers, scope: str, strides: tuple[int, int]) -> Tensor:
    return layers.conv(net, _Conv(scope, KEPT, 3, *strides, stored=Depthwise()))


def _version_1(images: Tensor, layers: Layers, output_stride: int, width: Channels) -> Tensor:
    strides = Strides(output_stride)
    net = layers.conv(images, _Conv("Conv2d_0", width.get("Conv2d_0", 32), 3, *strides.next(2)))
    for number, (stride, published) in enumerate(_SEPARABLE, 1):
        scope = f"Conv2d_{number}"
        net = _depthwise(net, layers, f"{scope}_depthwise", strides.next(stride))
        channels = width.get(f"{scope}_pointwise", published)
        net = layers.conv(net, _Conv(f"{scope}_pointwise", channels, 1))
    return layers.conv(net, Convolution(_HEAD, None, 1, relu=False))


def version_2_features(
    images: Tensor, layers: Layers, output_stride: int, width: Channels, within: str = ""
) -> tuple[Tensor, Tensor]:
    """What the bottlenecks of version 2 give, and the last of their depthwise convolutions at a stride of 4.

    Their variables are below `within`, in `width` too.
    """
    strides = Strides(output_stride)
    channels = width.get(f"{within}Conv", 32)
    net = layers.conv(images, _Conv(f"{within}Conv", channels, 3, *strides.next(2)))
    blocks = [
        (expansion, published, first if repetition == 0 else 1)
        for expansion, published, repetitions, first in _BOTTLENECKS
        for repetition in range(repetitions)
    ]
    for number, (expansion, published, stride) in enumerate(blocks):
        scope = f"{within}expanded_conv{f'_{number}' if number else ''}"
        inside = net
        if expansion > 1:
            inner = width.get(f"{scope}/expand", expansion * channels)
            inside = layers.conv(net, _Conv(f"{scope}/expand", inner, 1))
        inside = _depthwise(inside, layers, f"{scope}/depthwise", strides.next(stride))
        if number == _LAST_AT_4:
            fine = inside
        before, channels = channels, width.get(f"{scope}/project", published)
        inside = layers.conv(inside, _Conv(f"{scope}/project", channels, 1, relu=False))
        net = layers.add(net, inside) if stride == 1 and before == channels else inside
    return net, fine


def _version_2(images: Tensor, layers: Layers, output_stride: int, width: Channels) -> Tensor:
    net, _ = version_2_features(images, layers, output_stride, width)
    net = layers.conv(net, _Conv("Conv_1", width.get("Conv_1", 1280), 1))
    return layers.conv(net, Convolution(_HEAD, None, 1, relu=False))


_Build = Callable[[Tensor, Layers, int, Channels], Tensor]


def _network(
    name: str, build: _Build, last: tuple[str, int], receptive_field: int, width: Channels = _WIDTH_1
) -> Network:
    """The network whose convolutions have so many channels; `last` is one that grows with the width, and its channels.

    What is padded at a stride depends on the parity of the image's sides. Images of 32k+1 pixels have their first and
    last cells on their first and last pixels; so the border, and no geometry without it.
    """

    def logits(images: Tensor, layers: Layers, head_padding: Padding, output_stride: int) -> Tensor:
        return build(images, layers, output_stride, width)

    def as_stored(shapes: Mapping[str, Shape]) -> Network:
        return _network(name, build, last, receptive_field, channels_of(shapes))

    return Network(
        name=name,
        scope=name.title().replace("_", ""),  # MobilenetV1
        logits=logits,
        preprocessing=INCEPTION_PREPROCESSING,
        crop=224,
        crops=(96, 128, 160, 192, 224),
        variant=f"of width {width.get(last[0], last[1]) / last[1]:.3g}",
        as_stored=as_stored,
        geometries=("aligned",),
        centre=0.5,
        border=(0, 1),
        receptive_field=receptive_field,
        pools_globally=True,
    )


MOBILENET_V1 = _network("mobilenet_v1", _version_1, ("Conv2d_13_pointwise", 1024), receptive_field=315)
MOBILENET_V2 = _network("mobilenet_v2", _version_2, ("expanded_conv_16/project", 320), receptive_field=491)
NETWORKS = (MOBILENET_V1, MOBILENET_V2)
