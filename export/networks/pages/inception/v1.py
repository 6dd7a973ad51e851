"""Inception v1 (GoogLeNet), Szegedy et al., arXiv:1409.4842, as `tf_slim.nets.inception_v1` has it."""

from __future__ import annotations

from ...network import SlimReference
from .blocks import Block, Branch, MaxPool, blocks, classifier, conv

_STEM = (
    conv("Conv2d_1a_7x7", 64, stride=2),
    MaxPool(stride=2),
    conv("Conv2d_2b_1x1", 64),
    conv("Conv2d_2c_3x3", 192),
    MaxPool(stride=2),
)


def _mixed(
    single: int, reduce: int, double: int, reduce2: int, double2: int, projection: int, last: str = "0b_3x3"
) -> list[Branch]:
    """The branches of a row in table 1 of the paper; slim's "5x5" are 3x3."""
    return [
        [conv("Conv2d_0a_1x1", single)],
        [conv("Conv2d_0a_1x1", reduce), conv("Conv2d_0b_3x3", double)],
        [conv("Conv2d_0a_1x1", reduce2), conv(f"Conv2d_{last}", double2)],
        [MaxPool(), conv("Conv2d_0b_1x1", projection)],
    ]


_BODY: dict[str, Block] = {
    "Mixed_3b": _mixed(64, 96, 128, 16, 32, 32),
    "Mixed_3c": _mixed(128, 128, 192, 32, 96, 64),
    "MaxPool_4a_3x3": MaxPool(stride=2),
    "Mixed_4b": _mixed(192, 96, 208, 16, 48, 64),
    "Mixed_4c": _mixed(160, 112, 224, 24, 64, 64),
    "Mixed_4d": _mixed(128, 128, 256, 24, 64, 64),
    "Mixed_4e": _mixed(112, 144, 288, 32, 64, 64),
    "Mixed_4f": _mixed(256, 160, 320, 32, 128, 128),
    "MaxPool_5a_2x2": MaxPool(stride=2, kernel=2),
    "Mixed_5b": _mixed(256, 160, 320, 32, 128, 128, last="0a_3x3"),  # the published name
    "Mixed_5c": _mixed(384, 192, 384, 48, 128, 128),
}
INCEPTION_V1 = classifier(
    "inception_v1",
    "InceptionV1",
    224,
    blocks(_STEM, _BODY, "Logits/Conv2d_0c_1x1"),
    reference=SlimReference("tf_slim.nets.inception_v1", "inception_v1", "inception_v1_arg_scope"),
)
NETWORKS = (INCEPTION_V1,)
