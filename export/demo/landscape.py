"""The picture of the demo: one landscape that shows every texture."""

import numpy as np
from numpy.typing import NDArray

from export.demo.scenes import CLASS_NAMES, LabelMap, paint
from export.demo.textures import Image

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
    shore = _curve((0, 282), (120, 282), (230, 240), (340, 170), (640, 170))
    meadow = _curve((0, 366), (110, 366), (240, 300), (330, 196), (400, 130), (520, 118), (640, 150))
    balloon = np.hypot(x - 196, (y - 76) * np.where(y < 76, 1, 0.84 + 0.002 * np.abs(x - 196))) < 66
    path_centre = 425 + 70 * np.cos((y - 285) / 72)
    path_half = 34 + 0.36 * (y - 285)
    return [
        ("sky", y >= 0),
        ("checkerboard", balloon),
        ("water", y >= 168),
        ("sand", y > shore),
        ("grass", y > meadow),
        ("cobblestone", (np.abs(x - path_centre) < path_half) & (y > 285)),
        ("brick", (np.abs(x - 490) < 116) & (y >= 168) & (y < 290)),
        ("roof tiles", (np.abs(x - 490) < 24 + 0.72 * y) & (y >= 62) & (y < 170)),
        ("wood", (y > 384 + 0.03 * x) & (x + 0.3 * y < 370)),
        ("tartan", (np.abs(y - 420) < 50) & (np.abs(x - 562 + 0.3 * (y - 420)) < 66)),
    ]


def demo_scene(seed: int = 0) -> tuple[Image, LabelMap]:
    """A house by a lake: image uint8 RGB [480,640,3], class ids uint8 [480,640]; `seed` varies textures."""
    label_map = np.zeros((HEIGHT, WIDTH), np.uint8)
    for name, outline in _shapes():
        label_map[outline] = CLASS_NAMES.index(name)
    return paint(np.random.default_rng(seed), label_map), label_map
