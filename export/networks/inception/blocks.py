"""What the Inception networks are made of: blocks of branches whose results lie side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ...types import Kernel, Padding, Tensor
from ...weights.folding import BatchNorm
from ..layers import Convolution, Layers
from ..network import Network, SlimReference
from ..preprocessing import INCEPTION_PREPROCESSING

NORM = BatchNorm(epsilon=0.001, scaled=False)


class Step(Protocol):
    """Something that a branch does."""

    def __call__(self, net: Tensor, layers: Layers, scope: str) -> Tensor:
        """Return the result for `net`; variables lie below `scope`."""


Branch = Sequence[Step]


@dataclass(frozen=True)
class Conv:
    """A convolution with batch normalization and ReLU; a step."""

    scope: str
    channels: int
    kernel: Kernel
    stride: int = 1
    padding: Padding = "SAME"

    def __call__(self, net: Tensor, layers: Layers, scope: str) -> Tensor:
        """See `Step`."""
        return layers.conv(
            net,
            Convolution(
                f"{scope}/{self.scope}" if scope else self.scope,
                self.channels,
                self.kernel,
                stride=self.stride,
                padding=self.padding,
                norm=NORM,
            ),
        )


@dataclass(frozen=True)
class MaxPool:
    """A maximum of 3x3 positions; a step."""

    stride: int = 1
    padding: Padding = "SAME"
    kernel: int = 3

    def __call__(self, net: Tensor, layers: Layers, scope: str) -> Tensor:
        """See `Step`."""
        return layers.max_pool(net, self.kernel, stride=self.stride, padding=self.padding)


class AvgPool:
    """The mean of 3x3 positions; a step."""

    def __call__(self, net: Tensor, layers: Layers, scope: str) -> Tensor:
        """See `Step`."""
        return layers.avg_pool(net, 3)


@dataclass(frozen=True)
class Fork:
    """Convolutions of the same input, side by side; a step."""

    convolutions: tuple[Conv, ...]

    def __call__(self, net: Tensor, layers: Layers, scope: str) -> Tensor:
        """See `Step`."""
        return layers.concat([conv(net, layers, scope) for conv in self.convolutions])


def chain(net: Tensor, layers: Layers, steps: Branch, scope: str = "") -> Tensor:
    """One step after the other."""
    for step in steps:
        net = step(net, layers, scope)
    return net


def mixed(net: Tensor, layers: Layers, scope: str, *branches: Branch) -> Tensor:
    """Branches of the same input, side by side; the variables lie in `scope`/Branch_0 and so on."""
    return layers.concat(
        [chain(net, layers, steps, f"{scope}/Branch_{number}") for number, steps in enumerate(branches)]
    )


def classifier(
    name: str,
    scope: str,
    crop: int,
    logits: Callable[[Tensor, Layers], Tensor],
    reference: SlimReference | None = None,
) -> Network:
    """A network that pools all positions before its last layer: it has one answer for an image."""

    def build(images: Tensor, layers: Layers, head_padding: Padding, output_stride: int) -> Tensor:
        return logits(images, layers)

    return Network(
        name=name,
        scope=scope,
        reference=reference,
        logits=build,
        preprocessing=INCEPTION_PREPROCESSING,
        crop=crop,
        segments=False,
    )
