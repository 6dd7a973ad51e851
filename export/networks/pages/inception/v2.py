"""Inception v2, Ioffe and Szegedy, arXiv:1502.03167, as `tf_slim.nets.inception_v2` has it."""

from __future__ import annotations

from ....weights.folding import Separable
from ...layers import Convolution
from ...network import SlimReference
from .blocks import AvgPool, Branch, MaxPool, blocks, classifier, conv

_STEM = (
    # Slim's separable convolution has biases; its arg_scope normalizes the plain ones.
    Convolution("Conv2d_1a_7x7", 64, 7, stride=2, stored=Separable(8)),
    MaxPool(stride=2),
    conv("Conv2d_2b_1x1", 64),
    conv("Conv2d_2c_3x3", 192),
    MaxPool(stride=2),
)


def _even(single: int, reduce: int, double: int, reduce2: int, triple: int, projection: int) -> list[Branch]:
    """The branches of a block that keeps its input's positions, pooled by the mean (table 1 of the paper)."""
    return [
        [conv("Conv2d_0a_1x1", single)],
        [conv("Conv2d_0a_1x1", reduce), conv("Conv2d_0b_3x3", double)],
        [conv("Conv2d_0a_1x1", reduce2), conv("Conv2d_0b_3x3", triple), conv("Conv2d_0c_3x3", triple)],
        [AvgPool(), conv("Conv2d_0b_1x1", projection)],
    ]


def _halving(reduce: int, double: int, reduce2: int, triple: int) -> list[Branch]:
    """The branches of a block with stride 2."""
    return [
        [conv("Conv2d_0a_1x1", reduce), conv("Conv2d_1a_3x3", double, stride=2)],
        [
            conv("Conv2d_0a_1x1", reduce2),
            conv("Conv2d_0b_3x3", triple),
            conv("Conv2d_1a_3x3", triple, stride=2),
        ],
        [MaxPool(stride=2)],
    ]


def _last() -> list[Branch]:
    """The branches of the last block, pooled by the maximum."""
    *convolutions, (_, projection) = _even(352, 192, 320, 192, 224, 128)
    return [*convolutions, [MaxPool(), projection]]


_MIXED = {
    "Mixed_3b": _even(64, 64, 64, 64, 96, 32),
    "Mixed_3c": _even(64, 64, 96, 64, 96, 64),
    "Mixed_4a": _halving(128, 160, 64, 96),
    "Mixed_4b": _even(224, 64, 96, 96, 128, 128),
    "Mixed_4c": _even(192, 96, 128, 96, 128, 128),
    "Mixed_4d": _even(160, 128, 160, 128, 160, 96),
    "Mixed_4e": _even(96, 128, 192, 160, 192, 96),
    "Mixed_5a": _halving(128, 192, 192, 256),
    "Mixed_5b": _even(352, 192, 320, 160, 224, 128),
    "Mixed_5c": _last(),
}


INCEPTION_V2 = classifier(
    "inception_v2",
    "InceptionV2",
    224,
    blocks(_STEM, _MIXED, "Logits/Conv2d_1c_1x1"),
    reference=SlimReference("tf_slim.nets.inception_v2", "inception_v2", "inception_v2_arg_scope"),
)
NETWORKS = (INCEPTION_V2,)
