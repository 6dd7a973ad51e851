"""Scenes of the demo's textures that it was not fitted to."""

from __future__ import annotations

import numpy as np
from slimserve.export.demo.scenes import LabelMap, compose
from slimserve.export.demo.textures import Image

_HEIGHTS, _WIDTHS = (
    [side for side in range(low, high) if side % 32] for low, high in ((224, 401), (384, 769))
)


def random_scene(rng: np.random.Generator) -> tuple[Image, LabelMap]:
    """A scene of 2 to 6 textures, 384 to 768 pixels wide, no side a multiple of 32: see `compose`."""
    height, width = (int(rng.choice(sides)) for sides in (_HEIGHTS, _WIDTHS))
    return compose(rng, height, width, int(rng.integers(2, 7)))
