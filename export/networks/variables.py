"""Which variables a network has: it is built of layers that only note them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..types import Shape, VariableShape
from ..weights.folding import BatchNorm
from .layers import BuildLogits, Convolution

Channels = Mapping[str, int]  # by the scope of a convolution


def full_name(scope: str, name: str) -> str:
    """The name of a variable below a network's scope; "" for a network whose variables lie in several scopes."""
    return f"{scope}/{name}" if scope else name


def channels_of(shapes: Mapping[str, Shape]) -> Channels:
    """Of the convolutions that have these variables and mix channels."""
    return {
        variable.removesuffix("/weights"): shape[-1]
        for variable, shape in shapes.items()
        if variable.endswith("/weights") and shape
    }


def variables_of(logits: BuildLogits, scope: str, stride: int) -> dict[str, VariableShape]:
    """Shapes by full name, in the order of the network, of the variables that `logits` uses below `scope`."""
    noted = _NotedVariables(scope)
    layers: Any = noted
    logits(3, layers, "SAME", stride)
    return noted.shapes


class _NotedVariables:
    """`Layers` whose tensors are numbers of channels."""

    def __init__(self, scope: str) -> None:
        self.shapes: dict[str, VariableShape] = {}
        self._scope = scope

    def _note(self, scope: str, variables: Mapping[str, VariableShape]) -> None:
        within = full_name(self._scope, scope)
        self.shapes |= {f"{within}/{name}": shape for name, shape in variables.items()}

    def conv(self, inputs: Any, convolution: Convolution) -> Any:
        scope, channels = convolution.scope, inputs if convolution.depthwise else convolution.channels
        self._note(scope, convolution.stored.variables(convolution.sides, inputs, channels))
        if convolution.norm:
            self._note(convolution.batch_norm_scope, dict.fromkeys(convolution.norm.names, (channels,)))
        elif convolution.biases:
            self._note(scope, {"biases": (channels,)})
        return channels

    def batch_norm(self, channels: Any, scope: str, norm: BatchNorm, *, relu: bool = True) -> Any:
        self._note(scope, dict.fromkeys(norm.names, (channels,)))
        return channels

    def concat(self, channels: Sequence[Any]) -> Any:
        return sum(channels)

    def in_strips(self, channels: Any, blocks: Callable[[Any], Any], stride: int, margin: int) -> Any:
        return blocks(channels)

    def _keep(self, channels: Any, *arguments: Any, **options: Any) -> Any:
        return channels

    max_pool = pad_to = avg_pool = global_pool = upsample = relu = shift = resize = refine = add = _keep
