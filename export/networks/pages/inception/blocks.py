"""What the Inception networks are made of: blocks of branches whose results lie side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from ....types import Padding, Tensor
from ....weights.folding import BatchNorm
from ...layers import Convolution, Layers
from ...network import Network, SlimReference
from ...preprocessing import INCEPTION_PREPROCESSING

_LEAST_SIDE = {299: 75}  # by the crop that the network was made for: what its unpadded layers take

Conv = partial(Convolution, norm=BatchNorm(epsilon=0.001, scaled=False))


@dataclass(frozen=True)
class MaxPool:
    """The maximum of 3x3 positions."""

    stride: int = 1
    padding: Padding = "SAME"
    kernel: int = 3


class AvgPool:
    """The mean of 3x3 positions."""


@dataclass(frozen=True)
class Fork:
    """Convolutions of the same input, side by side."""

    convolutions: tuple[Convolution, ...]


Step = Convolution | MaxPool | AvgPool | Fork
Branch = Sequence[Step]


def chain(net: Tensor, layers: Layers, steps: Branch, scope: str = "") -> Tensor:
    """One step after the other; the variables lie in `scope`."""
    for step in steps:
        net = _applied(step, net, layers, scope)
    return net


def _applied(step: Step, net: Tensor, layers: Layers, scope: str) -> Tensor:
    if isinstance(step, Convolution):
        return layers.conv(net, replace(step, scope=f"{scope}/{step.scope}" if scope else step.scope))
    if isinstance(step, MaxPool):
        return layers.max_pool(net, step.kernel, stride=step.stride, padding=step.padding)
    if isinstance(step, Fork):
        return layers.concat([_applied(convolution, net, layers, scope) for convolution in step.convolutions])
    return layers.avg_pool(net, 3)


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
        least_side=_LEAST_SIDE.get(crop, 1),
        segments=False,
    )
