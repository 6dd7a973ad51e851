"""DeepLab v3 and v3+, as `research/deeplab` of tensorflow/models stores them.

Chen et al., arXiv:1706.05587: atrous spatial pyramid pooling; arXiv:1802.02611: the decoder. A checkpoint has a
backbone in a scope of its own and, beside it, the scopes of what is behind. Which parts there are, and how many
channels they have, is read off the variables: the published MobileNets have neither atrous branches nor decoder.

The mean over the whole image is one of the things that decide every cell: an image in pieces has other scores. The
published evaluation pads all images to one size, and what is padded takes part in that mean; here sides are padded to
the next 16k+1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from ...errors import ExportError
from ...types import Padding, Shape, Tensor
from ...weights.folding import BatchNorm, Depthwise
from ..layers import KEPT, Convolution, Layers
from ..network import Network
from ..preprocessing import INCEPTION_PREPROCESSING
from ..variables import Channels, channels_of
from . import xception
from .mobilenet import version_2_features
from .resnet import beta_features

_Conv = partial(Convolution, norm=BatchNorm(epsilon=1e-5, scaled=True))
_RATES = (6, 12, 18)  # at an output stride of 16; twice that at 8
_DECODER_STRIDE = 4
_ABOUT_RATES = (
    f"; that the rates of its branches are {', '.join(map(str, _RATES))} at an output stride of 16, as the authors "
    "have it, is assumed"
)
_ABOUT_TILES = "; the whole image takes part in every label by its mean, so that an image in tiles has others"
_DATA_SETS = {21: "pascal_voc_2012", 19: "cityscapes", 151: "ade20k"}
_LOGITS = "logits/semantic"
_PROJECTION = "concat_projection"
_PUBLISHED: Channels = MappingProxyType({})
# Of DeepLab's train.py, by the names of the variables that they make.
_FLAGS = {
    r"aspp[1-9]\d*/": "aspp_with_separable_conv=false",
    r"decoder/decoder_conv(?!\d+_(depthwise|pointwise)/)": "decoder_use_separable_conv=false",
    r"decoder/feature_projection[1-9]": "several numbers for decoder_output_stride",
}


@dataclass(frozen=True)
class _Backbone:
    """A network whose features are scored.

    Attributes:
        name: what the network is called here, behind "deeplab_".
        scope: of its variables.
        first: the scope of its first convolution, below that.
        features: makes two feature maps of images, layers, output stride, channels and scope with "/": the last one,
            and the one at a stride of 4 that a decoder takes.
        receptive_field: of the last one.
        assumed: what of it no variable tells, in words.
    """

    name: str
    scope: str
    first: str
    features: Callable[[Tensor, Layers, int, Channels, str], tuple[Tensor, Tensor]]
    receptive_field: int
    assumed: str = ""


@dataclass(frozen=True)
class _Parts:
    """What a checkpoint has behind the backbone, besides the convolution `aspp0`."""

    pooling: bool  # the mean over the image
    branches: bool  # atrous convolutions at three rates
    decoder: bool  # which refines the cells to a stride of 4

    @classmethod
    def of(cls, variables: Mapping[str, Shape]) -> _Parts:
        """Those that have variables.

        Raises:
            ExportError: they were made by other flags of DeepLab's train.py than the published ones.
        """
        for pattern, flag in _FLAGS.items():
            if made := next((name for name in sorted(variables) if re.match(pattern, name)), None):
                raise ExportError(
                    f"the checkpoint has {made}: DeepLab's train.py made it with {flag}, and such a network is not "
                    "exported"
                )
        branches = {match[1] for name in variables if (match := re.match(r"aspp([1-9]\d*)_depthwise/", name))}
        if branches not in (set(), {"1", "2", "3"}):
            counted = f"{len(branches)} atrous branch{'es' if len(branches) > 1 else ''}"
            raise ExportError(
                f"the checkpoint has {counted}, and their rates are known only of the published three, aspp1 to aspp3: "
                "DeepLab's train.py was given other atrous_rates, and such a network is not exported"
            )
        return cls(
            pooling="image_pooling/weights" in variables,
            branches=bool(branches),
            decoder=any(name.startswith("decoder/") for name in variables),
        )

    @property
    def words(self) -> str:
        """Which there are."""
        named = {"image pooling": self.pooling, "atrous branches": self.branches, "a decoder": self.decoder}
        there, lacking = ([name for name, has in named.items() if has is wanted] for wanted in (True, False))
        return " and ".join(
            f"{preposition} {', '.join(names)}"
            for preposition, names in (("with", there), ("without", lacking))
            if names
        )


class _Head:
    """What is behind a backbone, in these layers."""

    def __init__(self, layers: Layers, channels: Channels, output_stride: int) -> None:
        """Make layers with these channels, or the published ones."""
        self._layers = layers
        self._channels = channels
        self._rates = [rate * 16 // output_stride for rate in _RATES]

    def pyramid(self, net: Tensor, parts: _Parts) -> Tensor:
        """Atrous spatial pyramid pooling."""
        layers, beside = self._layers, []
        if parts.pooling:
            beside.append(layers.resize(self._conv(layers.global_pool(net), "image_pooling"), net))
        beside.append(self._conv(net, "aspp0"))
        if parts.branches:
            beside += [
                self._separable(net, f"aspp{number}", rate) for number, rate in enumerate(self._rates, 1)
            ]
        return self._conv(layers.concat(beside), _PROJECTION)

    def decoder(self, net: Tensor, fine: Tensor) -> Tensor:
        """Scores' features at the positions of `fine`, which has seen less and knows better where edges are."""
        fine = self._conv(fine, "decoder/feature_projection0", 48)
        net = self._layers.concat([self._layers.resize(net, fine), fine])
        for number in (0, 1):
            net = self._separable(net, f"decoder/decoder_conv{number}")
        return net

    def _conv(self, net: Tensor, scope: str, published: int = 256) -> Tensor:
        return self._layers.conv(net, _Conv(scope, self._channels.get(scope, published), 1))

    def _separable(self, net: Tensor, scope: str, rate: int = 1) -> Tensor:
        depthwise = _Conv(f"{scope}_depthwise", KEPT, 3, 1, rate, stored=Depthwise())
        return self._conv(self._layers.conv(net, depthwise), f"{scope}_pointwise")


def _network(
    backbone: _Backbone, parts: _Parts, channels: Channels = _PUBLISHED, stride: int = 16
) -> Network:
    """The network with these parts, whose convolutions have so many channels, trained or evaluated at this stride.

    Images of 16k+1 pixels have their first and last cells on their first and last pixels, at every stride.
    """

    def logits(images: Tensor, layers: Layers, head_padding: Padding, output_stride: int) -> Tensor:
        net, fine = backbone.features(images, layers, output_stride, channels, f"{backbone.scope}/")
        head = _Head(layers, channels, output_stride)
        net = head.pyramid(net, parts)
        if parts.decoder:
            net = head.decoder(net, fine)
        return layers.conv(net, Convolution(_LOGITS, None, 1, relu=False))

    def as_stored(shapes: Mapping[str, Shape]) -> Network:
        return _network(backbone, _Parts.of(shapes), channels_of(shapes), stride)

    sees = backbone.receptive_field
    if parts.branches:
        sees += 2 * 16 * _RATES[-1]
    if parts.decoder:  # a cell between two, and two convolutions
        sees += 2 * (stride - _DECODER_STRIDE) + 4 * _DECODER_STRIDE
    return Network(
        name=f"deeplab_{backbone.name}",
        scope="",
        logits=logits,
        preprocessing=INCEPTION_PREPROCESSING,
        crop=513,
        stride=stride,
        output_strides=(16, 8),
        geometries=("aligned",),
        multiple=16,
        surplus=1,
        centre=0.5,
        receptive_field=sees,
        as_stored=as_stored,
        data_sets=_DATA_SETS,
        known_by=(f"{backbone.scope}/{backbone.first}/weights", f"{_PROJECTION}/weights"),
        owned=(f"{backbone.scope}/", "image_pooling/", "aspp", f"{_PROJECTION}/", "decoder/", "logits/"),
        variant="".join(
            [
                parts.words,
                _ABOUT_TILES if parts.pooling else "",
                _ABOUT_RATES if parts.branches else "",
                backbone.assumed,
            ]
        ),
        decoder_stride=_DECODER_STRIDE if parts.decoder else 0,
        at=lambda output_stride: _network(backbone, parts, channels, output_stride),
    )


_MOBILENET_V2 = _Backbone("mobilenet_v2", "MobilenetV2", "Conv", version_2_features, receptive_field=491)
DEEPLAB_MOBILENET_V2 = _network(_MOBILENET_V2, _Parts(pooling=True, branches=False, decoder=False))
_WHOLE = _Parts(pooling=True, branches=True, decoder=True)
# By depth.
_XCEPTIONS = {41: 1147, 65: 1915, 71: 1987}
_RESNETS = {50: 743, 101: 1287}
_MULTI_GRID = (
    "; that the rates of its last block are multiplied by 1, 2 and 4, as the authors have it, is assumed"
)


def _xception(depth: int) -> Network:
    name = f"xception_{depth}"
    backbone = _Backbone(
        name, name, "entry_flow/conv1_1", partial(xception.features, depth), _XCEPTIONS[depth]
    )
    return _network(backbone, _WHOLE)


def _resnet(depth: int) -> Network:
    name, build = f"resnet_v1_{depth}", partial(beta_features, depth)
    backbone = _Backbone(f"{name}_beta", name, "conv1_1", build, _RESNETS[depth], _MULTI_GRID)
    return _network(backbone, _WHOLE)


NETWORKS = (DEEPLAB_MOBILENET_V2, *map(_xception, _XCEPTIONS), *map(_resnet, _RESNETS))
