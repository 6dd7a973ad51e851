"""The picture of the demo: one landscape that shows every texture."""

import numpy as np
from numpy.typing import NDArray

from .scenes import CLASS_NAMES, LabelMap, paint
from .textures import Image

HEIGHT, WIDTH = 480, 640


def _curve(*points: tuple[float, float]) -> NDArray[np.float64]:
    """A smooth line through about these (x, y): its y at every column [WIDTH]."""
    reach = 50
    columns = np.arange(-reach, WIDTH + reach)
    line = np.interp(columns, *np.transpose(points))
    window = np.hanning(2 * reach + 1)
    return np.convolve(line, window / window.sum(), "valid")


def _shapes() -> list[tuple[str, NDArray[np.bool_]]]:
    """Class and outline, from the back to the front."""
    y = np.arange(HEIGHT)[:, None] + np.zeros((1, WIDTH))
    x = np.arange(WIDTH)[None, :] + np.zeros((HEIGHT, 1))
    shore = _curve((0, 296), (120, 296), (230, 256), (340, 194), (640, 194))
    meadow = _curve((0, 400), (110, 400), (240, 318), (330, 226), (400, 150), (520, 130), (640, 150))
    balloon = np.hypot(x - 196, (y - 92) * np.where(y < 92, 1, 0.84 + 0.002 * np.abs(x - 196))) < 64
    path_centre = 430 + 80 * np.cos((y - 300) / 66)
    path_half = 38 + 0.36 * (y - 300)
    return [
        ("sky", y >= 0),
        ("checkerboard", balloon),
        ("water", y >= 192),
        ("sand", y > shore),
        ("grass", y > meadow),
        ("tartan", (y > 372) & (x + 0.3 * y > 612)),
        ("cobblestone", (np.abs(x - path_centre) < path_half) & (y > 300)),
        ("brick", (x > 394) & (y >= 186) & (y < 304)),
        ("roof tiles", (np.abs(x - 528) < 62 + 0.68 * y) & (y >= 66) & (y < 188)),
        ("wood", (y > 384 + 0.03 * x) & (x + 0.3 * y < 370)),
    ]


def demo_scene(seed: int = 0) -> tuple[Image, LabelMap]:
    """A house by a lake: image uint8 RGB [480,640,3], class ids uint8 [480,640]; `seed` varies textures."""
    label_map = np.zeros((HEIGHT, WIDTH), np.uint8)
    for name, outline in _shapes():
        label_map[outline] = CLASS_NAMES.index(name)
    return paint(np.random.default_rng(seed), label_map), label_map
