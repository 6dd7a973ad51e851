"""Inception v4, Szegedy et al., arXiv:1602.07261, section 3.1, with the names of slim's published checkpoint."""

from __future__ import annotations

from ....weights.folding import Matrix
from .blocks import POOL, STEM_299, AvgPool, Branch, Fork, blocks, classifier, conv, halving

# Figure 3 of the paper, the rest of the stem.
_STEM: dict[str, list[Branch]] = {
    "Mixed_3a": [
        [POOL],
        [halving("Conv2d_0a_3x3", 96)],
    ],
    "Mixed_4a": [
        [conv("Conv2d_0a_1x1", 64), conv("Conv2d_1a_3x3", 96, padding="VALID")],
        [
            conv("Conv2d_0a_1x1", 64),
            conv("Conv2d_0b_1x7", 64),
            conv("Conv2d_0c_7x1", 64),
            conv("Conv2d_1a_3x3", 96, padding="VALID"),
        ],
    ],
    "Mixed_5a": [
        [halving("Conv2d_1a_3x3", 192)],
        [POOL],
    ],
}
_INCEPTION_A: list[Branch] = [  # figure 4
    [conv("Conv2d_0a_1x1", 96)],
    [conv("Conv2d_0a_1x1", 64), conv("Conv2d_0b_3x3", 96)],
    [conv("Conv2d_0a_1x1", 64), conv("Conv2d_0b_3x3", 96), conv("Conv2d_0c_3x3", 96)],
    [AvgPool(), conv("Conv2d_0b_1x1", 96)],
]
_REDUCTION_A: list[Branch] = [  # figure 7
    [halving("Conv2d_1a_3x3", 384)],
    [conv("Conv2d_0a_1x1", 192), conv("Conv2d_0b_3x3", 224), halving("Conv2d_1a_3x3", 256)],
    [POOL],
]
_INCEPTION_B: list[Branch] = [  # figure 5
    [conv("Conv2d_0a_1x1", 384)],
    [conv("Conv2d_0a_1x1", 192), conv("Conv2d_0b_1x7", 224), conv("Conv2d_0c_7x1", 256)],
    [
        conv("Conv2d_0a_1x1", 192),
        conv("Conv2d_0b_7x1", 192),
        conv("Conv2d_0c_1x7", 224),
        conv("Conv2d_0d_7x1", 224),
        conv("Conv2d_0e_1x7", 256),
    ],
    [AvgPool(), conv("Conv2d_0b_1x1", 128)],
]
_REDUCTION_B: list[Branch] = [  # figure 8
    [conv("Conv2d_0a_1x1", 192), halving("Conv2d_1a_3x3", 192)],
    [
        conv("Conv2d_0a_1x1", 256),
        conv("Conv2d_0b_1x7", 256),
        conv("Conv2d_0c_7x1", 320),
        halving("Conv2d_1a_3x3", 320),
    ],
    [POOL],
]
_INCEPTION_C: list[Branch] = [  # figure 6
    [conv("Conv2d_0a_1x1", 256)],
    [conv("Conv2d_0a_1x1", 384), Fork((conv("Conv2d_0b_1x3", 256), conv("Conv2d_0c_3x1", 256)))],
    [
        conv("Conv2d_0a_1x1", 384),
        conv("Conv2d_0b_3x1", 448),
        conv("Conv2d_0c_1x3", 512),
        Fork((conv("Conv2d_0d_1x3", 256), conv("Conv2d_0e_3x1", 256))),
    ],
    [AvgPool(), conv("Conv2d_0b_1x1", 256)],
]
_MIXED = (
    _STEM
    | {f"Mixed_5{letter}": _INCEPTION_A for letter in "bcde"}
    | {"Mixed_6a": _REDUCTION_A}
    | {f"Mixed_6{letter}": _INCEPTION_B for letter in "bcdefgh"}
    | {"Mixed_7a": _REDUCTION_B}
    | {f"Mixed_7{letter}": _INCEPTION_C for letter in "bcd"}
)


INCEPTION_V4 = classifier(
    "inception_v4", "InceptionV4", 299, blocks(STEM_299[:3], _MIXED, "Logits/Logits", Matrix()), least_side=75
)
NETWORKS = (INCEPTION_V4,)
