"""Inception v1 (GoogLeNet), Szegedy et al., arXiv:1409.4842, as `tf_slim.nets.inception_v1` has it."""

from __future__ import annotations

from ....types import Tensor
from ...layers import Convolution, Layers
from ...network import SlimReference
from .blocks import MaxPool, chain, classifier, conv, mixed

_STEM = (
    conv("Conv2d_1a_7x7", 64, stride=2),
    MaxPool(stride=2),
    conv("Conv2d_2b_1x1", 64),
    conv("Conv2d_2c_3x3", 192),
    MaxPool(stride=2),
)
# Table 1 of the paper: channels of 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection. Slim's "5x5" are 3x3.
_MIXED = {
    "3b": (64, 96, 128, 16, 32, 32),
    "3c": (128, 128, 192, 32, 96, 64),
    "4b": (192, 96, 208, 16, 48, 64),
    "4c": (160, 112, 224, 24, 64, 64),
    "4d": (128, 128, 256, 24, 64, 64),
    "4e": (112, 144, 288, 32, 64, 64),
    "4f": (256, 160, 320, 32, 128, 128),
    "5b": (256, 160, 320, 32, 128, 128),
    "5c": (384, 192, 384, 48, 128, 128),
}
_POOL_BEFORE = {"4b": [MaxPool(stride=2)], "5b": [MaxPool(stride=2, kernel=2)]}


def _logits(images: Tensor, layers: Layers) -> Tensor:
    net = chain(images, layers, _STEM)
    for block, (single, reduce, double, reduce2, double2, projection) in _MIXED.items():
        net = chain(net, layers, _POOL_BEFORE.get(block, ()))
        last = "Conv2d_0a_3x3" if block == "5b" else "Conv2d_0b_3x3"  # the published name
        net = mixed(
            net,
            layers,
            f"Mixed_{block}",
            [conv("Conv2d_0a_1x1", single)],
            [conv("Conv2d_0a_1x1", reduce), conv("Conv2d_0b_3x3", double)],
            [conv("Conv2d_0a_1x1", reduce2), conv(last, double2)],
            [MaxPool(), conv("Conv2d_0b_1x1", projection)],
        )
    net = layers.global_pool(net)
    return layers.conv(net, Convolution("Logits/Conv2d_0c_1x1", None, 1, relu=False))


INCEPTION_V1 = classifier(
    "inception_v1",
    "InceptionV1",
    224,
    _logits,
    reference=SlimReference("tf_slim.nets.inception_v1", "inception_v1", "inception_v1_arg_scope"),
)
NETWORKS = (INCEPTION_V1,)
