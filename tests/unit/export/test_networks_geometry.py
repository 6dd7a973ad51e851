"""Where the cells of every fully convolutional network lie, by exact arithmetic with what each layer sees."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import pytest
from slimserve.export.networks import NETWORKS, Network
from slimserve.export.networks.layers import Convolution

SEGMENTING = [network for network in NETWORKS.values() if network.segments]
CASES = [
    (network.at(stride) if network.at else network, stride)
    for network in SEGMENTING
    for stride in network.output_strides
]
SIDES = (1, 31, 32, 33, 64, 97, 225, 500)
# Of cells, or of what the last layers before fc6 give (https://distill.pub/2019/computing-receptive-fields).
PUBLISHED = {
    "resnet_v1_50": 483,
    "resnet_v1_101": 1027,
    "resnet_v1_152": 1507,
    "vgg_16": 212,
    "alexnet_v2": 195,
    "mobilenet_v1": 315,
}


@dataclass(frozen=True)
class Line:
    """One axis of a feature map: `size` positions, the first centred at `centre` pixels, then each `step` further.

    Each sees `sees` pixels, half of them to each side of its centre.
    """

    size: int
    centre: Fraction
    step: int
    sees: int = field(default=1, compare=False)


class Axis:
    """Layers that follow one axis: a tensor is a `Line`."""

    def conv(self, net: Line, convolution: Convolution) -> Line:
        side, _ = convolution.sides
        return self._seen(net, side, convolution.stride, convolution.rate, convolution.padding)

    def max_pool(
        self, net: Line, kernel: int = 2, *, stride: int = 2, rate: int = 1, padding: str = "VALID"
    ) -> Line:
        return self._seen(net, kernel, stride, rate, padding)

    def in_strips(self, net: Line, blocks: Callable[[Line], Line], stride: int, margin: int) -> Line:
        return blocks(net)

    def _seen(self, net: Line, kernel: int, stride: int = 1, rate: int = 1, padding: str = "SAME") -> Line:
        reach = (kernel - 1) * rate
        if padding == "SAME":  # https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2
            size = -(-net.size // stride)
            before = max((size - 1) * stride + reach + 1 - net.size, 0) // 2
        elif padding == "FIXED":
            size, before = (net.size - 1) // stride + 1, reach // 2
        else:
            size, before = (net.size - reach - 1) // stride + 1, 0
        centre = net.centre + net.step * (Fraction(reach, 2) - before)
        return Line(size, centre, net.step * stride, net.sees + net.step * reach)

    def pad_to(self, net: Line, side: int) -> Line:
        return replace(net, size=max(net.size, side))

    def batch_norm(self, net: Line, scope: str, norm: object) -> Line:
        return net

    def upsample(self, net: Line) -> Line:
        """Between two positions, three quarters of a step from the further one."""
        step = net.step // 2
        return Line(2 * net.size, net.centre - Fraction(net.step, 4), step, net.sees + 3 * step)

    def relu(self, net: Line) -> Line:
        return net

    def global_pool(self, net: Line) -> Line:
        """What all positions see is not counted."""
        return replace(net, size=1)

    def resize(self, net: Line, like: Line) -> Line:
        """Between two positions, those that are furthest from both see what both see."""
        if net.size == 1:
            return like
        assert (net.centre, (net.size - 1) * net.step) == (like.centre, (like.size - 1) * like.step)
        return replace(like, sees=net.sees + 2 * (net.step - like.step))

    def refine(self, net: Line, inner: Line, factor: int, margin: int) -> Line:
        if net.size > 2 * margin:
            between = (net.size - 2 * margin - 1) * factor + 1
            assert inner == Line(between, net.centre + margin * net.step, net.step // factor)
        return Line((net.size - 1) * factor + 1, net.centre, net.step // factor, max(net.sees, inner.sees))

    def add(self, net: Line, residual: Line, **options: Any) -> Line:
        assert net == residual
        return replace(net, sees=max(net.sees, residual.sees))

    def concat(self, nets: Sequence[Line]) -> Line:
        assert len(set(nets)) == 1
        return replace(nets[0], sees=max(net.sees for net in nets))


def cells(network: Network, output_stride: int, side: int) -> Line:
    """The cells of an image of `side` pixels in the aligned geometry, measured from the image's edge."""
    before, behind = network.border
    padded = before + side + behind + network.padding(side)
    line: Any = Line(padded, Fraction(1, 2) - before, 1)
    answer: Line = network.logits(line, Axis(), "SAME", output_stride)  # type: ignore[arg-type]
    return answer


def identities() -> Iterator[str]:
    return (f"{network.name}-{stride}" for network, stride in CASES)


@pytest.mark.parametrize(("network", "output_stride"), CASES, ids=list(identities()))
def test_cells_are_centred_where_the_page_says(network: Network, output_stride: int) -> None:
    for side in SIDES:
        line = cells(network, output_stride, side)
        assert (line.centre, line.step) == (Fraction(network.centre), network.spacing(output_stride)), side


@pytest.mark.parametrize(("network", "output_stride"), CASES, ids=list(identities()))
def test_cells_cover_the_image(network: Network, output_stride: int) -> None:
    """No pixel lies more than half of the network's stride beyond the centres of the outermost cells."""
    for side in SIDES:
        line = cells(network, output_stride, side)
        assert line.centre <= Fraction(network.stride + 1, 2), side
        assert line.centre + line.step * (line.size - 1) >= side - Fraction(network.stride + 1, 2), side


@pytest.mark.parametrize(("network", "output_stride"), CASES, ids=list(identities()))
def test_cells_see_what_the_page_says(network: Network, output_stride: int) -> None:
    assert cells(network, output_stride, 97).sees == network.receptive_field


@pytest.mark.parametrize("name", PUBLISHED)
def test_cells_see_what_is_published(name: str) -> None:
    network = NETWORKS[name]
    fully_connected = network.stride * (network.window - 1)
    assert network.receptive_field - fully_connected == PUBLISHED[name]


@pytest.mark.parametrize("network", SEGMENTING, ids=lambda network: network.name)
def test_a_crop_has_one_cell_or_is_pooled(network: Network) -> None:
    line: Any = Line(network.crop, Fraction(1, 2), 1)
    answer: Line = network.logits(line, Axis(), "VALID", network.stride)  # type: ignore[arg-type]
    assert answer.size == 1 or network.window == 1
