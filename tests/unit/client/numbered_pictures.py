"""Pictures of a number, and a server of a model that finds it."""

from __future__ import annotations

import numpy as np
from slimserve.testing import Model, Server


def picture(number: int) -> np.ndarray:
    """uint8 [4,4,3] whose class is its number, by the model of `numbered_server`."""
    return np.full((4, 4, 3), number % 250, np.uint8)


def numbered_server() -> Server:
    def label_map(pixels: np.ndarray) -> np.ndarray:
        return np.full(pixels.shape[:2], pixels[0, 0, 0])

    names = [f"number {number}" for number in range(250)]
    return Server(Model(names, scores=lambda pixels: np.eye(250)[pixels[0, 0, 0]], label_map=label_map))
