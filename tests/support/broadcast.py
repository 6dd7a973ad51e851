"""Checkpoints of real networks whose variables hold one value each: quick to make, and told apart when read."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from slimserve.export.networks import Network

AVERAGE = "ExponentialMovingAverage"
Tensors = dict[str, np.ndarray]


def variables(network: Network, classes: int = 5, value: float = 1.0) -> Tensors:
    """The network's variables, all elements of this value; they take no memory."""
    return {
        name: np.broadcast_to(np.float32(value), [classes if size is None else size for size in shape])
        for name, shape in network.expected_variables().items()
    }


def averages(of: Mapping[str, np.ndarray], value: float = 2.0) -> Tensors:
    """Their moving averages, all of this value."""
    return {
        f"{name}/{AVERAGE}": np.broadcast_to(np.float32(value), array.shape) for name, array in of.items()
    }
