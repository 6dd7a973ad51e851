"""PNASNet-5 against NumPy, from figure 1 of Liu et al., arXiv:1712.00559."""

from __future__ import annotations

import numpy as np
import pytest
from slimserve.export.networks import NETWORKS
from slimserve.export.networks.pages.nasnet.cells import classifier
from slimserve.export.networks.pages.nasnet.pnasnet import pnasnet_5

from tests.export.test_nasnets import CLASSES, EVEN, ODD, assert_alike, image, of_layers
from tests.support.paper_nasnets import Array, Cells, maximum
from tests.support.paper_networks import beside
from tests.support.slim_checkpoints import random_weights

# An odd number of channels in the stem's second cell, as the mobile one has: one more sees the odd rows and columns.
SMALL = classifier("small", 224, lambda images, build: pnasnet_5(images, build, 6, 10, 1), ())
# Millions of trained parameters with 1001 classes and without the auxiliary head, as published.
MILLIONS = {"pnasnet_mobile": 5.1, "pnasnet_large": 86.1}
NAMES: dict[str, dict[str, tuple[int | None, ...]]] = {
    "pnasnet_mobile": {
        "conv0/weights": (3, 3, 3, 32),
        "cell_stem_0/comb_iter_0/right/1x1/weights": (1, 1, 32, 13),
        "cell_stem_1/path2_conv/weights": (1, 1, 32, 14),
        "cell_3/comb_iter_4/right/bn_1/gamma": (108,),
        "cell_8/comb_iter_1/left/separable_7x7_2/pointwise_weights": (1, 1, 216, 216),
        "final_layer/FC/weights": (1080, None),
    },
    "pnasnet_large": {
        "cell_9/final_path_bn/beta": (864,),
        "cell_11/prev_1x1/weights": (1, 1, 4320, 864),
        "final_layer/FC/biases": (None,),
    },
}


class PNASNet5(Cells):
    """Three cells, the second and third with a stride."""

    def __call__(self, pixels: Array) -> Array:
        """Logits [C] of a prepared image [H, W, 3]."""
        done = self.stem(pixels.astype(np.float64), self.cell)
        for number, stride in enumerate((1, 2, 2)):
            done.append(self.cell(done[-1], done[-2], f"cell_{number}", stride))
        return self.scores(done[-1])

    def cell(self, last: Array, before: Array | None, scope: str, stride: int = 2) -> Array:
        h, p = self.begun(last, before, scope)
        channels = h.shape[2]
        at = f"{scope}/comb_iter_"
        largest, same = maximum(p, stride), h
        if p.shape[2] != channels:
            largest = self.normalized(self.mixed(largest, f"{at}0/right/1x1"), f"{at}0/right/bn_1")
        if stride > 1:
            same = self.projected(h[::stride, ::stride], f"{at}4/right/1x1", f"{at}4/right/bn_1")
        first = self.separable(p, f"{at}0/left", 5, stride) + largest
        second = self.separable(h, f"{at}1/left", 7, stride) + maximum(h, stride)
        third = self.separable(h, f"{at}2/left", 5, stride) + self.separable(h, f"{at}2/right", 3, stride)
        fourth = self.separable(third, f"{at}3/left", 3) + maximum(h, stride)
        fifth = self.separable(p, f"{at}4/left", 3, stride) + same
        return beside(first, second, third, fourth, fifth)


@pytest.mark.parametrize("size", [ODD, EVEN])
def test_a_small_pnasnet_is_that_of_its_figure(size: tuple[int, int]) -> None:
    weights, pixels = random_weights(SMALL, CLASSES), image(*size)
    assert_alike(SMALL, of_layers(SMALL, weights, pixels), PNASNet5(weights)(pixels))


@pytest.mark.parametrize("name", MILLIONS)
def test_variables_are_those_published(name: str) -> None:
    shapes = NETWORKS[name].expected_variables()
    assert NAMES[name].items() <= shapes.items()
    count = sum(
        int(np.prod([1001 if size is None else size for size in shape]))
        for variable, shape in shapes.items()
        if "/moving_" not in variable
    )
    assert count / 1e6 == pytest.approx(MILLIONS[name], abs=0.1)
