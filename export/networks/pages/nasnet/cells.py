"""What NASNets are made of: cells that were found by search, and what lies between them.

As slim's nets/nasnet/nasnet_utils.py builds them. A cell takes what the last two cells gave. Dropped paths and the
auxiliary classifier are for training only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from ....types import Padding, Tensor
from ....weights.folding import BatchNorm, Matrix, Separable
from ...layers import Convolution, Layers
from ...network import Network
from ...preprocessing import INCEPTION_PREPROCESSING

_NORM = BatchNorm(epsilon=0.001, scaled=True)
# Below it, two feature maps that a cell is to halve have the same width, 1, by which slim knows which to halve.
_LEAST_SIDE = 19

_OWNED = ("conv0", "cell_", "reduction_cell_", "final_layer/")

_Conv = partial(Convolution, relu=False, norm=_NORM)

Operation = Literal[3, 5, 7, "average", "maximum", "identity"]
"""Two separable convolutions of that side; the mean or the maximum of 3x3 positions; nothing."""


@dataclass(frozen=True)
class Cell:
    """A cell of five sums, each of two operations on states.

    Attributes:
        sums: each operation and the state that it takes: 0 is what the last cell gave, 1 what the one before it gave,
            both with as many channels as the cell has; 2 is the first sum.
        joined: the states that lie side by side in the result.
    """

    sums: tuple[tuple[tuple[Operation, int], tuple[Operation, int]], ...]
    joined: tuple[int, ...]


@dataclass(frozen=True)
class Features:
    """A feature map: `net` [N, H, W, `channels`], its positions `step` pixels apart."""

    net: Tensor
    channels: int
    step: int


@dataclass(frozen=True)
class Builder:
    """Builds cells of `layers`."""

    layers: Layers

    def stem(self, images: Tensor, channels: int, cell: Cell, filters: int) -> list[Features]:
        """A convolution and two cells with a stride, to an eighth of the images' sides: what each of the three gives.

        Args:
            images: [N, H, W, 3].
            channels: of the convolution.
            cell: whose stride is 2.
            filters: channels of the cells that follow.
        """
        first = _Conv("conv0", channels, 3, stride=2, padding="VALID", norm_scope="conv0_bn")
        before, done = None, [Features(self.layers.conv(images, first), channels, 2)]
        for number in (0, 1):
            width = filters * 2**number // 4
            made = self.cell(cell, f"cell_stem_{number}", done[-1], before, width, stride=2)
            before = done[-1]
            done.append(made)
        return done

    def cell(
        self, cell: Cell, scope: str, last: Features, before: Features | None, channels: int, stride: int = 1
    ) -> Features:
        """What a cell of so many channels gives of what the last and the one before it gave, if there is one."""
        squeezed = self._projected(last.net, f"{scope}/1x1", f"{scope}/beginning_bn", channels)
        states = [Features(squeezed, channels, last.step)]
        states.append(self._matched(before, last.step, channels, scope) if before else last)
        step = last.step * stride
        for number, operations in enumerate(cell.sums):
            left, right = (
                self._applied(operation, states[state], f"{scope}/comb_iter_{number}/{side}", channels, step)
                for side, (operation, state) in zip(("left", "right"), operations, strict=True)
            )
            states.append(Features(self.layers.add(left, right), channels, step))
        joined = [states[state].net for state in cell.joined]
        return Features(self.layers.concat(joined), channels * len(joined), step)

    def logits(self, features: Features) -> Tensor:
        """Logits [N, 1, 1, classes]."""
        pooled = self.layers.global_pool(self.layers.relu(features.net))
        return self.layers.conv(pooled, Convolution("final_layer/FC", None, 1, relu=False, stored=Matrix()))

    def _projected(self, net: Tensor, scope: str, norm_scope: str, channels: int, stride: int = 1) -> Tensor:
        """ReLU, a 1x1 convolution, normalization."""
        return self.layers.conv(
            self.layers.relu(net), _Conv(scope, channels, 1, stride=stride, norm_scope=norm_scope)
        )

    def _matched(self, before: Features, step: int, channels: int, scope: str) -> Features:
        """With positions `step` apart and so many channels, as it is where it has both."""
        net = before.net
        if before.step != step:
            net = self._halved(net, scope, channels)
        elif before.channels != channels:
            net = self._projected(net, f"{scope}/prev_1x1", f"{scope}/prev_bn", channels)
        return Features(net, channels, step)

    def _halved(self, net: Tensor, scope: str, channels: int) -> Tensor:
        """Half of the channels see the even rows and columns, the others the odd ones; zeros beyond the last."""
        net = self.layers.relu(net)
        half = channels // 2
        paths = (("path1_conv", net, half), ("path2_conv", self.layers.shift(net), channels - half))
        halves = [
            self.layers.conv(
                path, Convolution(f"{scope}/{name}", width, 1, stride=2, relu=False, biases=False)
            )
            for name, path, width in paths
        ]
        return self.layers.batch_norm(self.layers.concat(halves), f"{scope}/final_path_bn", _NORM, relu=False)

    def _applied(self, operation: Operation, state: Features, scope: str, channels: int, step: int) -> Tensor:
        net, stride = state.net, step // state.step
        if operation == "identity":
            if stride == 1 and state.channels == channels:
                return net
            return self._projected(net, f"{scope}/1x1", f"{scope}/bn_1", channels, stride)
        if operation == "average":
            net = self.layers.avg_pool(net, 3, stride=stride)
        elif operation == "maximum":
            net = self.layers.max_pool(net, 3, stride=stride, padding="SAME")
        else:
            return self._separable(self.layers.relu(net), operation, scope, channels, stride)
        if state.channels == channels:
            return net
        return self.layers.conv(net, _Conv(f"{scope}/1x1", channels, 1, norm_scope=f"{scope}/bn_1"))

    def _separable(self, net: Tensor, side: int, scope: str, channels: int, stride: int) -> Tensor:
        """Two separable convolutions, ReLU between them; the first has the stride."""
        for number in (1, 2):
            name = f"{side}x{side}_{number}"
            net = self.layers.conv(
                net,
                Convolution(
                    f"{scope}/separable_{name}",
                    channels,
                    side,
                    stride if number == 1 else 1,
                    relu=number == 1,
                    norm=_NORM,
                    norm_scope=f"{scope}/bn_sep_{name}",
                    stored=Separable(1),
                ),
            )
        return net


def classifier(
    name: str, crop: int, logits: Callable[[Tensor, Builder], Tensor], known_by: tuple[str, ...]
) -> Network:
    """A network that pools all positions before its last layer. Its variables lie in scopes of the cells' names."""

    def build(images: Tensor, layers: Layers, head_padding: Padding, output_stride: int) -> Tensor:
        return logits(images, Builder(layers))

    return Network(
        name=name,
        scope="",
        logits=build,
        preprocessing=INCEPTION_PREPROCESSING,
        crop=crop,
        least_side=_LEAST_SIDE,
        segments=False,
        known_by=known_by,
        owned=_OWNED,
    )
