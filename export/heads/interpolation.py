"""Linear interpolation in the order of operations of TensorFlow's ResizeBilinear kernel: the same bits."""

from __future__ import annotations

from ..networks.network import Tensor


def lerp(lower: Tensor, upper: Tensor, share: Tensor) -> Tensor:
    """Go from `lower` to `upper` by `share`, 0 to 1; shapes broadcast."""
    return lower + (upper - lower) * share
