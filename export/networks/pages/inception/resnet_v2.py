"""Inception-ResNet v2, Szegedy et al., arXiv:1602.07261, section 3.2, with the names of slim's published checkpoint.

The sizes are those of that checkpoint; the paper's figures differ from it here and there.
"""

from __future__ import annotations

from collections.abc import Sequence

from ....types import Tensor
from ....weights.folding import Matrix
from ...layers import Convolution, Layers
from .blocks import AvgPool, Branch, Conv, MaxPool, chain, classifier, mixed

_STEM = (
    Conv("Conv2d_1a_3x3", 32, 3, stride=2, padding="VALID"),
    Conv("Conv2d_2a_3x3", 32, 3, padding="VALID"),
    Conv("Conv2d_2b_3x3", 64, 3),
    MaxPool(stride=2, padding="VALID"),
    Conv("Conv2d_3b_1x1", 80, 1, padding="VALID"),
    Conv("Conv2d_4a_3x3", 192, 3, padding="VALID"),
    MaxPool(stride=2, padding="VALID"),
)
_MIXED_5B: list[Branch] = [
    [Conv("Conv2d_1x1", 96, 1)],
    [Conv("Conv2d_0a_1x1", 48, 1), Conv("Conv2d_0b_5x5", 64, 5)],
    [Conv("Conv2d_0a_1x1", 64, 1), Conv("Conv2d_0b_3x3", 96, 3), Conv("Conv2d_0c_3x3", 96, 3)],
    [AvgPool(), Conv("Conv2d_0b_1x1", 64, 1)],
]
_BLOCK_35: list[Branch] = [  # figure 16
    [Conv("Conv2d_1x1", 32, 1)],
    [Conv("Conv2d_0a_1x1", 32, 1), Conv("Conv2d_0b_3x3", 32, 3)],
    [Conv("Conv2d_0a_1x1", 32, 1), Conv("Conv2d_0b_3x3", 48, 3), Conv("Conv2d_0c_3x3", 64, 3)],
]
_MIXED_6A: list[Branch] = [  # figure 7
    [Conv("Conv2d_1a_3x3", 384, 3, stride=2, padding="VALID")],
    [
        Conv("Conv2d_0a_1x1", 256, 1),
        Conv("Conv2d_0b_3x3", 256, 3),
        Conv("Conv2d_1a_3x3", 384, 3, stride=2, padding="VALID"),
    ],
    [MaxPool(stride=2, padding="VALID")],
]
_BLOCK_17: list[Branch] = [  # figure 17
    [Conv("Conv2d_1x1", 192, 1)],
    [
        Conv("Conv2d_0a_1x1", 128, 1),
        Conv("Conv2d_0b_1x7", 160, (1, 7)),
        Conv("Conv2d_0c_7x1", 192, (7, 1)),
    ],
]
_MIXED_7A: list[Branch] = [  # figure 18
    [Conv("Conv2d_0a_1x1", 256, 1), Conv("Conv2d_1a_3x3", 384, 3, stride=2, padding="VALID")],
    [Conv("Conv2d_0a_1x1", 256, 1), Conv("Conv2d_1a_3x3", 288, 3, stride=2, padding="VALID")],
    [
        Conv("Conv2d_0a_1x1", 256, 1),
        Conv("Conv2d_0b_3x3", 288, 3),
        Conv("Conv2d_1a_3x3", 320, 3, stride=2, padding="VALID"),
    ],
    [MaxPool(stride=2, padding="VALID")],
]
_BLOCK_8: list[Branch] = [  # figure 19
    [Conv("Conv2d_1x1", 192, 1)],
    [
        Conv("Conv2d_0a_1x1", 192, 1),
        Conv("Conv2d_0b_1x3", 224, (1, 3)),
        Conv("Conv2d_0c_3x1", 256, (3, 1)),
    ],
]


def _residual(
    net: Tensor,
    layers: Layers,
    scope: str,
    branches: Sequence[Branch],
    channels: int,
    scale: float,
    relu: bool = True,
) -> Tensor:
    """Add what the branches find, brought to the channels of `net` and scaled down (section 3.3)."""
    found = mixed(net, layers, scope, *branches)
    found = layers.conv(found, Convolution(f"{scope}/Conv2d_1x1", channels, 1, relu=False))
    return layers.add(net, found, scale=scale, relu=relu)


def _logits(images: Tensor, layers: Layers) -> Tensor:
    net = chain(images, layers, _STEM)
    net = mixed(net, layers, "Mixed_5b", *_MIXED_5B)
    for i in range(1, 11):
        net = _residual(net, layers, f"Repeat/block35_{i}", _BLOCK_35, 320, 0.17)
    net = mixed(net, layers, "Mixed_6a", *_MIXED_6A)
    for i in range(1, 21):
        net = _residual(net, layers, f"Repeat_1/block17_{i}", _BLOCK_17, 1088, 0.10)
    net = mixed(net, layers, "Mixed_7a", *_MIXED_7A)
    for i in range(1, 10):
        net = _residual(net, layers, f"Repeat_2/block8_{i}", _BLOCK_8, 2080, 0.20)
    net = _residual(net, layers, "Block8", _BLOCK_8, 2080, 1.0, relu=False)
    net = chain(net, layers, [Conv("Conv2d_7b_1x1", 1536, 1)])
    net = layers.global_pool(net)
    return layers.conv(net, Convolution("Logits/Logits", None, 1, relu=False, stored=Matrix()))


INCEPTION_RESNET_V2 = classifier("inception_resnet_v2", "InceptionResnetV2", 299, _logits)
NETWORKS = (INCEPTION_RESNET_V2,)
