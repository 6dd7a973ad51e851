"""PNASNet-5 mobile and large, Liu et al., arXiv:1712.00559, as slim's nets/nasnet/pnasnet.py has them."""

from __future__ import annotations

from ....types import Tensor
from ...network import Network
from .cells import Builder, Cell, classifier

# Figure 1 of the paper; with a stride, the same cell reduces.
_CELL = Cell(
    (
        ((5, 1), ("maximum", 1)),
        ((7, 0), ("maximum", 0)),
        ((5, 0), (3, 0)),
        ((3, 4), ("maximum", 0)),
        ((3, 1), ("identity", 0)),
    ),
    joined=(2, 3, 4, 5, 6),
)


def pnasnet_5(images: Tensor, build: Builder, stem: int, filters: int, repetitions: int) -> Tensor:
    """The logits of images: three times so many cells, of which the first of the second and third time have a stride.

    Args:
        images: [N, H, W, 3].
        build: makes the layers.
        stem: channels of the first convolution.
        filters: channels of the first cells, doubled at each stride.
        repetitions: cells from one stride to the next.
    """
    done = build.stem(images, stem, _CELL, filters)
    for number in range(3 * repetitions):
        block, within = divmod(number, repetitions)
        stride = 2 if block and within == 0 else 1
        done.append(build.cell(_CELL, f"cell_{number}", done[-1], done[-2], filters * 2**block, stride))
    return build.logits(done[-1])


def _network(name: str, crop: int, stem: int, filters: int, repetitions: int) -> Network:
    def logits(images: Tensor, build: Builder) -> Tensor:
        return pnasnet_5(images, build, stem, filters, repetitions)

    # The cell behind one with a stride halves what it takes from before that.
    halving = (repetitions + 1, 2 * repetitions + 1)
    return classifier(name, crop, logits, tuple(f"cell_{cell}/path1_conv/weights" for cell in halving))


NETWORKS = (_network("pnasnet_mobile", 224, 32, 54, 3), _network("pnasnet_large", 331, 96, 216, 4))
