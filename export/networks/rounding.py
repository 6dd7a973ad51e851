"""How far rounding alone may take a network's logits: the tolerance of whatever is compared with them.

Every processor adds the products of a convolution in another order, and no order is the right one. A sum of n products
in float32 errs by about sqrt(n) unit roundoffs, n at the very worst (Higham, Accuracy and Stability of Numerical
Algorithms, 2nd edition, section 4.2), and what a layer errs passes on through those behind it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from .layers import Convolution
from .network import Network

_FLOAT32 = 2.0**-24  # unit roundoffs
_SHORT = {"bfloat16": 2.0**-9, "float16": 2.0**-11}
_DEPTHWISE = 2
_INT8 = 0.5


def tolerance(network: Network, precision: str) -> float:
    """Return the largest difference of two logits that rounding explains, as a fraction of the largest logit.

    One side is computed in float32, the other with `precision`, each on any processor.

    float32: both sides err by the sum over all layers, those beside each other included.
    bfloat16, float16: every layer but those that give scores rounds its filter, its result, and that with the biases
    added, independently of the others, so that the errors add up as their squares do; four times that, for the largest
    of many logits. The sums themselves are in float32. A depthwise layer is in float32 until its result is rounded. It
    adds up few products, of neighbours, which are alike: much of them cancels, and what was rounded before it weighs
    `_DEPTHWISE` times as much (measured: on photographs the published MobileNet v1 errs by 0.057 in bfloat16, and 0.105
    is allowed). Errors of layers beside each other average out: of those, what rounds most counts. The bound is
    generous: with a sixteenth of the channels and random weights, AlexNet, VGG-16, a ResNet and three Inceptions err by
    0.005 to 0.02, MobileNet v2 by 0.14 of 0.16, a NASNet with all of its channels by 0.004, all in bfloat16.
    int8: no bound follows from the network; half of the largest logit, which refuses what is no network at all.
    `export.verify.agreement` holds it against float32 on images like those that it is calibrated on, which are not
    those of the other comparisons.
    """
    shapes = [shape for shape in network.expected_variables().values() if len(shape) > 1]
    if precision == "int8":
        return _INT8
    # [h, w, channels, 1] of a depthwise layer meets one channel at a time.
    products = [math.prod(size or 1 for size in shape[: 2 if shape[-1] == 1 else -1]) for shape in shapes]
    float32 = 2 * _FLOAT32 * sum(map(math.sqrt, products))
    layers: Any = _Roundings(_DEPTHWISE**2 if any(shape[-1] == 1 for shape in shapes) else 1)
    rounded: Any = network.logits(0, layers, "SAME", network.stride)
    return float32 + 4 * _SHORT.get(precision, 0.0) * math.sqrt(rounded)


class _Roundings:
    """`Layers` whose tensors are squares of what was rounded on the way to them, in unit roundoffs."""

    def __init__(self, weight: int) -> None:
        """Let what a layer rounds weigh so much where it is no depthwise one."""
        self._weight = weight

    def conv(self, rounded: int, convolution: Convolution) -> int:
        for step in convolution.steps:
            if not step.gives_scores:
                rounded += 1 if step.depthwise else 3 * self._weight
        return rounded

    def concat(self, beside: Sequence[int]) -> int:
        return max(beside)

    def add(self, rounded: int, residual: int, **options: Any) -> int:
        return max(rounded, residual)

    def in_strips(self, rounded: int, blocks: Callable[[int], int], stride: int, margin: int) -> int:
        return blocks(rounded)

    def __getattr__(self, layer: str) -> Callable[..., int]:
        return lambda rounded, *arguments, **options: rounded
