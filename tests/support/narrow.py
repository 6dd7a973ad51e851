"""Networks with a sixteenth of their channels, so that NumPy can follow."""

from __future__ import annotations

import numpy as np
from slimserve.export.networks import Network

NARROWER = 16


def narrow_weights(network: Network, classes: int) -> dict[str, np.ndarray]:
    """Random variables of the network by full name, but for three channels of the image and the classes narrower."""
    random = np.random.default_rng(3)
    weights = {}
    for name, shape in network.expected_variables().items():
        sizes = [classes if size is None else size // NARROWER if size >= 64 else size for size in shape]
        spread = 1.0 if len(sizes) == 1 else np.sqrt(2 / np.prod(sizes[:-1]))
        weights[name] = random.normal(0, spread, sizes).astype(np.float32)
    return weights
