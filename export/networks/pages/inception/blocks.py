"""What the Inception networks are made of: blocks of branches whose results lie side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ....types import Kernel, Padding, Tensor
from ....weights.folding import PLAIN_FILTER, BatchNorm, StoredFilter
from ...layers import Convolution, Layers
from ...network import Network
from ...preprocessing import INCEPTION_PREPROCESSING

_NORM = BatchNorm(epsilon=0.001, scaled=False)


def conv(
    scope: str, channels: int, *, stride: int = 1, padding: Padding = "SAME", kernel: Kernel | None = None
) -> Convolution:
    """A convolution whose scope ends with its kernel, such as Conv2d_0b_1x7; `kernel` where slim named it wrongly."""
    height, width = map(int, scope[-3:].split("x"))
    return Convolution(scope, channels, kernel or (height, width), stride, padding=padding, norm=_NORM)


halving = partial(conv, stride=2, padding="VALID")


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


POOL = MaxPool(stride=2, padding="VALID")
Step = Convolution | MaxPool | AvgPool | Fork
Branch = Sequence[Step]
Block = Sequence[Branch] | MaxPool


# Of Inception v3 and Inception-ResNet v2.
STEM_299 = (
    halving("Conv2d_1a_3x3", 32),
    conv("Conv2d_2a_3x3", 32, padding="VALID"),
    conv("Conv2d_2b_3x3", 64),
    POOL,
    conv("Conv2d_3b_1x1", 80, padding="VALID"),
    conv("Conv2d_4a_3x3", 192, padding="VALID"),
    POOL,
)


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


def blocks(
    stem: Branch, body: Mapping[str, Block], last: str, stored: StoredFilter = PLAIN_FILTER
) -> Callable[[Tensor, Layers], Tensor]:
    """The logits of a stem and of a body of blocks by scope, pooled; `last` is the scope of the last layer."""

    def logits(images: Tensor, layers: Layers) -> Tensor:
        net = chain(images, layers, stem)
        for scope, block in body.items():
            net = (
                chain(net, layers, [block])
                if isinstance(block, MaxPool)
                else mixed(net, layers, scope, *block)
            )
        return layers.conv(layers.global_pool(net), Convolution(last, None, 1, relu=False, stored=stored))

    return logits


def classifier(
    name: str, scope: str, crop: int, logits: Callable[[Tensor, Layers], Tensor], **facts: Any
) -> Network:
    """A network that pools all positions before its last layer: it has one answer for an image."""
    return Network(
        name=name,
        scope=scope,
        logits=lambda images, layers, head_padding, output_stride: logits(images, layers),
        preprocessing=INCEPTION_PREPROCESSING,
        crop=crop,
        segments=False,
        **facts,
    )
