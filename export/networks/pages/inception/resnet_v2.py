"""Inception-ResNet v2, Szegedy et al., arXiv:1602.07261, section 3.2, with the names of slim's published checkpoint.

The sizes are those of that checkpoint; the paper's figures differ from it here and there.
"""

from __future__ import annotations

from collections.abc import Sequence

from ....types import Tensor
from ....weights.folding import Matrix
from ...layers import Convolution, Layers
from .blocks import POOL, STEM_299, AvgPool, Branch, chain, classifier, conv, halving, mixed

_MIXED_5B: list[Branch] = [
    [conv("Conv2d_1x1", 96)],
    [conv("Conv2d_0a_1x1", 48), conv("Conv2d_0b_5x5", 64)],
    [conv("Conv2d_0a_1x1", 64), conv("Conv2d_0b_3x3", 96), conv("Conv2d_0c_3x3", 96)],
    [AvgPool(), conv("Conv2d_0b_1x1", 64)],
]
_BLOCK_35: list[Branch] = [  # figure 16
    [conv("Conv2d_1x1", 32)],
    [conv("Conv2d_0a_1x1", 32), conv("Conv2d_0b_3x3", 32)],
    [conv("Conv2d_0a_1x1", 32), conv("Conv2d_0b_3x3", 48), conv("Conv2d_0c_3x3", 64)],
]
_MIXED_6A: list[Branch] = [  # figure 7
    [halving("Conv2d_1a_3x3", 384)],
    [conv("Conv2d_0a_1x1", 256), conv("Conv2d_0b_3x3", 256), halving("Conv2d_1a_3x3", 384)],
    [POOL],
]
_BLOCK_17: list[Branch] = [  # figure 17
    [conv("Conv2d_1x1", 192)],
    [conv("Conv2d_0a_1x1", 128), conv("Conv2d_0b_1x7", 160), conv("Conv2d_0c_7x1", 192)],
]
_MIXED_7A: list[Branch] = [  # figure 18
    [conv("Conv2d_0a_1x1", 256), halving("Conv2d_1a_3x3", 384)],
    [conv("Conv2d_0a_1x1", 256), halving("Conv2d_1a_3x3", 288)],
    [conv("Conv2d_0a_1x1", 256), conv("Conv2d_0b_3x3", 288), halving("Conv2d_1a_3x3", 320)],
    [POOL],
]
_BLOCK_8: list[Branch] = [  # figure 19
    [conv("Conv2d_1x1", 192)],
    [conv("Conv2d_0a_1x1", 192), conv("Conv2d_0b_1x3", 224), conv("Conv2d_0c_3x1", 256)],
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
    net = chain(images, layers, STEM_299)
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
    net = chain(net, layers, [conv("Conv2d_7b_1x1", 1536)])
    net = layers.global_pool(net)
    return layers.conv(net, Convolution("Logits/Logits", None, 1, relu=False, stored=Matrix()))


INCEPTION_RESNET_V2 = classifier("inception_resnet_v2", "InceptionResnetV2", 299, _logits, least_side=75)
NETWORKS = (INCEPTION_RESNET_V2,)
