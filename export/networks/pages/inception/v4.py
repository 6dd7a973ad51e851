"""Inception v4, Szegedy et al., arXiv:1602.07261, section 3.1, with the names of slim's published checkpoint."""

from __future__ import annotations

from ....types import Tensor
from ....weights.folding import Matrix
from ...layers import Convolution, Layers
from .blocks import AvgPool, Branch, Conv, Fork, MaxPool, chain, classifier, mixed

_FIRST = (
    Conv("Conv2d_1a_3x3", 32, 3, stride=2, padding="VALID"),
    Conv("Conv2d_2a_3x3", 32, 3, padding="VALID"),
    Conv("Conv2d_2b_3x3", 64, 3),
)
# Figure 3 of the paper, the rest of the stem.
_STEM: dict[str, list[Branch]] = {
    "Mixed_3a": [
        [MaxPool(stride=2, padding="VALID")],
        [Conv("Conv2d_0a_3x3", 96, 3, stride=2, padding="VALID")],
    ],
    "Mixed_4a": [
        [Conv("Conv2d_0a_1x1", 64, 1), Conv("Conv2d_1a_3x3", 96, 3, padding="VALID")],
        [
            Conv("Conv2d_0a_1x1", 64, 1),
            Conv("Conv2d_0b_1x7", 64, (1, 7)),
            Conv("Conv2d_0c_7x1", 64, (7, 1)),
            Conv("Conv2d_1a_3x3", 96, 3, padding="VALID"),
        ],
    ],
    "Mixed_5a": [
        [Conv("Conv2d_1a_3x3", 192, 3, stride=2, padding="VALID")],
        [MaxPool(stride=2, padding="VALID")],
    ],
}
_INCEPTION_A: list[Branch] = [  # figure 4
    [Conv("Conv2d_0a_1x1", 96, 1)],
    [Conv("Conv2d_0a_1x1", 64, 1), Conv("Conv2d_0b_3x3", 96, 3)],
    [Conv("Conv2d_0a_1x1", 64, 1), Conv("Conv2d_0b_3x3", 96, 3), Conv("Conv2d_0c_3x3", 96, 3)],
    [AvgPool(), Conv("Conv2d_0b_1x1", 96, 1)],
]
_REDUCTION_A: list[Branch] = [  # figure 7
    [Conv("Conv2d_1a_3x3", 384, 3, stride=2, padding="VALID")],
    [
        Conv("Conv2d_0a_1x1", 192, 1),
        Conv("Conv2d_0b_3x3", 224, 3),
        Conv("Conv2d_1a_3x3", 256, 3, stride=2, padding="VALID"),
    ],
    [MaxPool(stride=2, padding="VALID")],
]
_INCEPTION_B: list[Branch] = [  # figure 5
    [Conv("Conv2d_0a_1x1", 384, 1)],
    [
        Conv("Conv2d_0a_1x1", 192, 1),
        Conv("Conv2d_0b_1x7", 224, (1, 7)),
        Conv("Conv2d_0c_7x1", 256, (7, 1)),
    ],
    [
        Conv("Conv2d_0a_1x1", 192, 1),
        Conv("Conv2d_0b_7x1", 192, (7, 1)),
        Conv("Conv2d_0c_1x7", 224, (1, 7)),
        Conv("Conv2d_0d_7x1", 224, (7, 1)),
        Conv("Conv2d_0e_1x7", 256, (1, 7)),
    ],
    [AvgPool(), Conv("Conv2d_0b_1x1", 128, 1)],
]
_REDUCTION_B: list[Branch] = [  # figure 8
    [Conv("Conv2d_0a_1x1", 192, 1), Conv("Conv2d_1a_3x3", 192, 3, stride=2, padding="VALID")],
    [
        Conv("Conv2d_0a_1x1", 256, 1),
        Conv("Conv2d_0b_1x7", 256, (1, 7)),
        Conv("Conv2d_0c_7x1", 320, (7, 1)),
        Conv("Conv2d_1a_3x3", 320, 3, stride=2, padding="VALID"),
    ],
    [MaxPool(stride=2, padding="VALID")],
]
_INCEPTION_C: list[Branch] = [  # figure 6
    [Conv("Conv2d_0a_1x1", 256, 1)],
    [
        Conv("Conv2d_0a_1x1", 384, 1),
        Fork((Conv("Conv2d_0b_1x3", 256, (1, 3)), Conv("Conv2d_0c_3x1", 256, (3, 1)))),
    ],
    [
        Conv("Conv2d_0a_1x1", 384, 1),
        Conv("Conv2d_0b_3x1", 448, (3, 1)),
        Conv("Conv2d_0c_1x3", 512, (1, 3)),
        Fork((Conv("Conv2d_0d_1x3", 256, (1, 3)), Conv("Conv2d_0e_3x1", 256, (3, 1)))),
    ],
    [AvgPool(), Conv("Conv2d_0b_1x1", 256, 1)],
]
_MIXED = (
    _STEM
    | {f"Mixed_5{letter}": _INCEPTION_A for letter in "bcde"}
    | {"Mixed_6a": _REDUCTION_A}
    | {f"Mixed_6{letter}": _INCEPTION_B for letter in "bcdefgh"}
    | {"Mixed_7a": _REDUCTION_B}
    | {f"Mixed_7{letter}": _INCEPTION_C for letter in "bcd"}
)


def _logits(images: Tensor, layers: Layers) -> Tensor:
    net = chain(images, layers, _FIRST)
    for scope, branches in _MIXED.items():
        net = mixed(net, layers, scope, *branches)
    net = layers.global_pool(net)
    return layers.conv(net, Convolution("Logits/Logits", None, 1, relu=False, stored=Matrix()))


INCEPTION_V4 = classifier("inception_v4", "InceptionV4", 299, _logits)
NETWORKS = (INCEPTION_V4,)
