"""NASNet-A mobile and large, Zoph et al., arXiv:1707.07012, as slim's nets/nasnet/nasnet.py has them."""

from __future__ import annotations

from ....types import Tensor
from ...network import Network
from .cells import Builder, Cell, classifier

# Figure 4 of the paper.
_NORMAL = Cell(
    (
        ((5, 0), (3, 1)),
        ((5, 1), (3, 1)),
        (("average", 0), ("identity", 1)),
        (("average", 1), ("average", 1)),
        ((3, 0), ("identity", 0)),
    ),
    joined=(1, 2, 3, 4, 5, 6),
)
REDUCTION = Cell(
    (
        ((5, 0), (7, 1)),
        (("maximum", 0), (7, 1)),
        (("average", 0), (5, 1)),
        (("identity", 3), ("average", 2)),
        ((3, 2), ("maximum", 0)),
    ),
    joined=(3, 4, 5, 6),
)


def nasnet_a(
    images: Tensor, build: Builder, stem: int, filters: int, repetitions: int, *, skips: bool
) -> Tensor:
    """The logits of images: three times so many normal cells, reductions between, filters doubled behind them.

    Args:
        images: [N, H, W, 3].
        build: makes the layers.
        stem: channels of the first convolution.
        filters: channels of the first normal cells; the paper counts what the last give, 24 times as many.
        repetitions: normal cells in a row.
        skips: whether the cell behind a reduction takes what the reduction took from further up, instead of its input.
    """
    done = build.stem(images, stem, REDUCTION, filters)
    for number in range(3 * repetitions):
        block, within = divmod(number, repetitions)
        channels, before = filters * 2**block, done[-2]
        if block and within == 0:
            scope = f"reduction_cell_{block - 1}"
            done.append(build.cell(REDUCTION, scope, done[-1], before, channels, stride=2))
            before = before if skips else done[-2]
        done.append(build.cell(_NORMAL, f"cell_{number}", done[-1], before, channels))
    return build.logits(done[-1])


def _network(name: str, crop: int, stem: int, filters: int, repetitions: int, *, skips: bool) -> Network:
    def logits(images: Tensor, build: Builder) -> Tensor:
        return nasnet_a(images, build, stem, filters, repetitions, skips=skips)

    known_by = ("reduction_cell_0/1x1/weights", f"cell_{repetitions}/path1_conv/weights")
    return classifier(name, crop, logits, known_by)


NETWORKS = (
    _network("nasnet_mobile", 224, 32, 44, 4, skips=False),
    _network("nasnet_large", 331, 96, 168, 6, skips=True),
)
