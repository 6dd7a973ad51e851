"""Inception v3, Szegedy et al., arXiv:1512.00567, as `tf_slim.nets.inception_v3` has it."""

from __future__ import annotations

from ...network import SlimReference
from .blocks import POOL, STEM_299, AvgPool, Branch, Fork, blocks, classifier, conv, halving


def _35x35(projection: int, names: tuple[str, str] = ("Conv2d_0a_1x1", "Conv2d_0b_5x5")) -> list[Branch]:
    """Figure 5 of the paper with one 5x5 left."""
    return [
        [conv("Conv2d_0a_1x1", 64)],
        [conv(names[0], 48), conv(names[1], 64)],
        [conv("Conv2d_0a_1x1", 64), conv("Conv2d_0b_3x3", 96), conv("Conv2d_0c_3x3", 96)],
        [AvgPool(), conv("Conv2d_0b_1x1", projection)],
    ]


def _17x17(channels: int) -> list[Branch]:
    """Figure 6 of the paper: 7x7 in steps of 1x7 and 7x1."""
    return [
        [conv("Conv2d_0a_1x1", 192)],
        [conv("Conv2d_0a_1x1", channels), conv("Conv2d_0b_1x7", channels), conv("Conv2d_0c_7x1", 192)],
        [
            conv("Conv2d_0a_1x1", channels),
            conv("Conv2d_0b_7x1", channels),
            conv("Conv2d_0c_1x7", channels),
            conv("Conv2d_0d_7x1", channels),
            conv("Conv2d_0e_1x7", 192),
        ],
        [AvgPool(), conv("Conv2d_0b_1x1", 192)],
    ]


def _8x8(second: str) -> list[Branch]:
    """Figure 7 of the paper: 3x3 as 1x3 beside 3x1; `second` is the 3x1's name in the first of the two."""
    return [
        [conv("Conv2d_0a_1x1", 320)],
        [conv("Conv2d_0a_1x1", 384), Fork((conv("Conv2d_0b_1x3", 384), conv(second, 384)))],
        [
            conv("Conv2d_0a_1x1", 448),
            conv("Conv2d_0b_3x3", 384),
            Fork((conv("Conv2d_0c_1x3", 384), conv("Conv2d_0d_3x1", 384))),
        ],
        [AvgPool(), conv("Conv2d_0b_1x1", 192)],
    ]


# The published names, with their slips: 1x1 in Mixed_6a are 3x3, and Mixed_5c and Mixed_7b count otherwise.
_MIXED: dict[str, list[Branch]] = {
    "Mixed_5b": _35x35(32),
    "Mixed_5c": _35x35(64, ("Conv2d_0b_1x1", "Conv_1_0c_5x5")),
    "Mixed_5d": _35x35(64),
    "Mixed_6a": [
        [halving("Conv2d_1a_1x1", 384, kernel=3)],
        [conv("Conv2d_0a_1x1", 64), conv("Conv2d_0b_3x3", 96), halving("Conv2d_1a_1x1", 96, kernel=3)],
        [POOL],
    ],
    "Mixed_6b": _17x17(128),
    "Mixed_6c": _17x17(160),
    "Mixed_6d": _17x17(160),
    "Mixed_6e": _17x17(192),
    "Mixed_7a": [
        [conv("Conv2d_0a_1x1", 192), halving("Conv2d_1a_3x3", 320)],
        [
            conv("Conv2d_0a_1x1", 192),
            conv("Conv2d_0b_1x7", 192),
            conv("Conv2d_0c_7x1", 192),
            halving("Conv2d_1a_3x3", 192),
        ],
        [POOL],
    ],
    "Mixed_7b": _8x8("Conv2d_0b_3x1"),
    "Mixed_7c": _8x8("Conv2d_0c_3x1"),
}


INCEPTION_V3 = classifier(
    "inception_v3",
    "InceptionV3",
    299,
    blocks(STEM_299, _MIXED, "Logits/Conv2d_1c_1x1"),
    least_side=75,
    reference=SlimReference(
        "tf_slim.nets.inception_v3",
        "inception_v3",
        "inception_v3_arg_scope",
        {"spatial_squeeze": False, "create_aux_logits": False},
    ),
)
NETWORKS = (INCEPTION_V3,)
