"""Inception v3, Szegedy et al., arXiv:1512.00567, as `tf_slim.nets.inception_v3` has it."""

from __future__ import annotations

from ....types import Tensor
from ...layers import Convolution, Layers
from ...network import SlimReference
from .blocks import AvgPool, Branch, Conv, Fork, MaxPool, chain, classifier, mixed

_STEM = (
    Conv("Conv2d_1a_3x3", 32, 3, stride=2, padding="VALID"),
    Conv("Conv2d_2a_3x3", 32, 3, padding="VALID"),
    Conv("Conv2d_2b_3x3", 64, 3),
    MaxPool(stride=2, padding="VALID"),
    Conv("Conv2d_3b_1x1", 80, 1, padding="VALID"),
    Conv("Conv2d_4a_3x3", 192, 3, padding="VALID"),
    MaxPool(stride=2, padding="VALID"),
)


def _35x35(projection: int, names: tuple[str, str] = ("Conv2d_0a_1x1", "Conv2d_0b_5x5")) -> list[Branch]:
    """Figure 5 of the paper with one 5x5 left."""
    return [
        [Conv("Conv2d_0a_1x1", 64, 1)],
        [Conv(names[0], 48, 1), Conv(names[1], 64, 5)],
        [Conv("Conv2d_0a_1x1", 64, 1), Conv("Conv2d_0b_3x3", 96, 3), Conv("Conv2d_0c_3x3", 96, 3)],
        [AvgPool(), Conv("Conv2d_0b_1x1", projection, 1)],
    ]


def _17x17(channels: int) -> list[Branch]:
    """Figure 6 of the paper: 7x7 in steps of 1x7 and 7x1."""
    return [
        [Conv("Conv2d_0a_1x1", 192, 1)],
        [
            Conv("Conv2d_0a_1x1", channels, 1),
            Conv("Conv2d_0b_1x7", channels, (1, 7)),
            Conv("Conv2d_0c_7x1", 192, (7, 1)),
        ],
        [
            Conv("Conv2d_0a_1x1", channels, 1),
            Conv("Conv2d_0b_7x1", channels, (7, 1)),
            Conv("Conv2d_0c_1x7", channels, (1, 7)),
            Conv("Conv2d_0d_7x1", channels, (7, 1)),
            Conv("Conv2d_0e_1x7", 192, (1, 7)),
        ],
        [AvgPool(), Conv("Conv2d_0b_1x1", 192, 1)],
    ]


def _8x8(second: str) -> list[Branch]:
    """Figure 7 of the paper: 3x3 as 1x3 beside 3x1; `second` is the 3x1's name in the first of the two."""
    return [
        [Conv("Conv2d_0a_1x1", 320, 1)],
        [
            Conv("Conv2d_0a_1x1", 384, 1),
            Fork((Conv("Conv2d_0b_1x3", 384, (1, 3)), Conv(second, 384, (3, 1)))),
        ],
        [
            Conv("Conv2d_0a_1x1", 448, 1),
            Conv("Conv2d_0b_3x3", 384, 3),
            Fork((Conv("Conv2d_0c_1x3", 384, (1, 3)), Conv("Conv2d_0d_3x1", 384, (3, 1)))),
        ],
        [AvgPool(), Conv("Conv2d_0b_1x1", 192, 1)],
    ]


# The published names, with their slips: 1x1 in Mixed_6a are 3x3, and Mixed_5c and Mixed_7b count otherwise.
_MIXED: dict[str, list[Branch]] = {
    "Mixed_5b": _35x35(32),
    "Mixed_5c": _35x35(64, ("Conv2d_0b_1x1", "Conv_1_0c_5x5")),
    "Mixed_5d": _35x35(64),
    "Mixed_6a": [
        [Conv("Conv2d_1a_1x1", 384, 3, stride=2, padding="VALID")],
        [
            Conv("Conv2d_0a_1x1", 64, 1),
            Conv("Conv2d_0b_3x3", 96, 3),
            Conv("Conv2d_1a_1x1", 96, 3, stride=2, padding="VALID"),
        ],
        [MaxPool(stride=2, padding="VALID")],
    ],
    "Mixed_6b": _17x17(128),
    "Mixed_6c": _17x17(160),
    "Mixed_6d": _17x17(160),
    "Mixed_6e": _17x17(192),
    "Mixed_7a": [
        [Conv("Conv2d_0a_1x1", 192, 1), Conv("Conv2d_1a_3x3", 320, 3, stride=2, padding="VALID")],
        [
            Conv("Conv2d_0a_1x1", 192, 1),
            Conv("Conv2d_0b_1x7", 192, (1, 7)),
            Conv("Conv2d_0c_7x1", 192, (7, 1)),
            Conv("Conv2d_1a_3x3", 192, 3, stride=2, padding="VALID"),
        ],
        [MaxPool(stride=2, padding="VALID")],
    ],
    "Mixed_7b": _8x8("Conv2d_0b_3x1"),
    "Mixed_7c": _8x8("Conv2d_0c_3x1"),
}


def _logits(images: Tensor, layers: Layers) -> Tensor:
    net = chain(images, layers, _STEM)
    for scope, branches in _MIXED.items():
        net = mixed(net, layers, scope, *branches)
    net = layers.global_pool(net)
    return layers.conv(net, Convolution("Logits/Conv2d_1c_1x1", None, 1, relu=False))


INCEPTION_V3 = classifier(
    "inception_v3",
    "InceptionV3",
    299,
    _logits,
    SlimReference(
        "tf_slim.nets.inception_v3",
        "inception_v3",
        "inception_v3_arg_scope",
        {"spatial_squeeze": False, "create_aux_logits": False},
    ),
)
NETWORKS = (INCEPTION_V3,)
