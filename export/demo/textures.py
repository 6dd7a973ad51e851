"""Ten textures a person can tell apart, each a function (rng, height, width) -> uint8 RGB [H,W,3].

Scale, phase and colour vary with `rng`; lengths are in pixels.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .noise import Field, cells, fractal_noise, smooth_noise

Image = NDArray[np.uint8]
Texture = Callable[[np.random.Generator, int, int], Image]


def _blend(start: ArrayLike, end: ArrayLike, amount: Field) -> Field:
    """Colours float32 [H,W,3] from `start` (where `amount` is 0) to `end` (where it is 1)."""
    weight = np.clip(amount, 0, 1)[..., None]
    return np.asarray(np.asarray(start, np.float32) * (1 - weight) + np.asarray(end, np.float32) * weight)


def _image(colour: ArrayLike, light: ArrayLike = 1.0) -> Image:
    """Colours float [H,W,3] in 0 to 255 under a light [H,W], rounded to uint8."""
    lit = np.asarray(colour, np.float32) * np.asarray(light, np.float32)[..., None]
    return np.asarray(np.clip(lit + 0.5, 0, 255), np.uint8)


def _tint(rng: np.random.Generator, *colours: tuple[int, int, int]) -> Field:
    """One of the `colours`, moved a little: float32 [3]."""
    return np.asarray(colours[rng.integers(len(colours))] + rng.normal(0, 2, 3), np.float32)


def _grid(rng: np.random.Generator, height: int, width: int) -> tuple[Field, Field]:
    """Pixel coordinates y [H,1] and x [1,W] from a random origin."""
    y, x = rng.uniform(0, 512, 2)
    return (
        np.arange(height, dtype=np.float32)[:, None] + np.float32(y),
        np.arange(width, dtype=np.float32)[None, :] + np.float32(x),
    )


def _bevel(inset: Field, width: float) -> Field:
    """Rises from 0 at an edge to 1 at `width` pixels inside it."""
    return np.asarray(np.clip(inset / width, 0, 1), np.float32)


def sky(rng: np.random.Generator, height: int, width: int) -> Image:
    """Blue, paler towards the bottom, with drifting clouds."""
    blue = _tint(rng, (96, 162, 228), (106, 168, 230), (88, 152, 222))
    scale = rng.uniform(70, 110)
    fade = np.linspace(0, rng.uniform(0.3, 0.6), height, dtype=np.float32)[:, None]
    clouds = fractal_noise(rng, height, width, scale * 0.55, scale, octaves=5)
    shade = fractal_noise(rng, height, width, scale * 0.3, scale * 0.6, octaves=3)
    open_sky = _blend(blue, (196, 222, 244), np.broadcast_to(fade, (height, width)))
    cover = np.clip((clouds - rng.uniform(0.1, 0.4)) * 0.9, 0, 1)
    white = _blend((252, 252, 252), (206, 216, 228), shade * 0.35 + 0.3)
    return _image(open_sky * (1 - cover[..., None]) + white * cover[..., None])


def water(rng: np.random.Generator, height: int, width: int) -> Image:
    """Teal waves, long across, with glints on the crests."""
    deep = _tint(rng, (12, 82, 112), (13, 90, 112), (14, 76, 114))
    scale = rng.uniform(0.8, 1.3)
    y, _ = _grid(rng, height, width)
    drift = fractal_noise(rng, height, width, 26 * scale, 80 * scale, octaves=3)
    wave = np.sin((y + 9 * scale * drift) * np.float32(2 * np.pi / (15 * scale)))
    ripple = fractal_noise(rng, height, width, 5 * scale, 22 * scale, octaves=3)
    crest = 1 - np.abs(0.55 * wave + 0.6 * ripple)
    body = _blend(deep * 0.8, deep * 1.25 + (14, 40, 40), 0.5 + 0.3 * wave + 0.16 * ripple)
    glint = np.clip((crest - 0.6) * 1.5, 0, 0.6) * np.clip(0.45 + 0.5 * drift, 0, 1)
    return _image(body * (1 - glint[..., None]) + np.array((206, 236, 240), np.float32) * glint[..., None])


def grass(rng: np.random.Generator, height: int, width: int) -> Image:
    """Blades of grass, drawn one over the other from the top of the picture down."""
    green = _tint(rng, (104, 160, 54), (112, 164, 56), (96, 156, 56))
    length = rng.uniform(18, 28)
    margin = int(length) + 8
    tall, wide = height + 2 * margin, width + 2 * margin
    count = int(tall * wide * 0.9 / length)
    share = np.arange(0, 1, 0.7 / length, dtype=np.float32)[None, :]
    root_y = np.sort(rng.uniform(length, tall, (count, 1)).astype(np.float32), axis=0)
    root_x = rng.uniform(0, wide, (count, 1)).astype(np.float32)
    reach = np.float32(length) * rng.uniform(0.55, 1, (count, 1)).astype(np.float32)
    lean, bend = rng.normal(0, 0.25, (2, count, 1)).astype(np.float32)
    y = (root_y - reach * share).astype(np.intp)
    x = root_x + reach * share * (lean + bend * share)
    hue = rng.normal(0, 1, (count, 1, 1)).astype(np.float32)
    colour = (
        green * (0.5 + 0.72 * share[..., None]) * (1 + 0.12 * hue) + np.array((10, 6, -2), np.float32) * hue
    )
    canvas = np.broadcast_to(green * 0.5, (tall, wide, 3)).copy()
    for thickness in (0, 1):
        column = np.clip(x + thickness * (share < 0.6), 0, wide - 1).astype(np.intp)
        canvas[y, column] = colour * (1 - 0.12 * thickness)
    canvas = canvas[margin : margin + height, margin : margin + width]
    return _image(canvas, 1 + 0.06 * smooth_noise(rng, height, width, 60, 90))


def sand(rng: np.random.Generator, height: int, width: int) -> Image:
    """Fine grains, blown into low ripples."""
    light = _tint(rng, (232, 208, 160), (236, 214, 168), (228, 202, 152))
    scale = rng.uniform(0.85, 1.3)
    y, x = _grid(rng, height, width)
    warp = fractal_noise(rng, height, width, 50 * scale, 90 * scale, octaves=3)
    phase = (y + rng.uniform(-0.35, 0.35) * x + 14 * scale * warp) * np.float32(2 * np.pi / (24 * scale))
    ripple = np.sin(phase + 0.5 * np.sin(phase))
    grain = rng.standard_normal((height, width), dtype=np.float32)
    speck = (rng.random((height, width), dtype=np.float32) < 0.012) * np.float32(0.22)
    return _image(np.broadcast_to(light, (height, width, 3)), 0.93 + 0.07 * ripple + 0.045 * grain - speck)


def brick(rng: np.random.Generator, height: int, width: int) -> Image:
    """A wall in running bond: every course shifted by half a brick."""
    course = rng.uniform(17, 24)
    length = course * rng.uniform(2.3, 2.7)
    y, x = _grid(rng, height, width)
    row = np.floor(y / course)
    x = x + length / 2 * (row % 2)
    column = np.floor(x / length)
    wobble = 0.7 * smooth_noise(rng, height, width, 7, 7)
    inset = np.minimum(
        course / 2 - np.abs(y - (row + 0.5) * course), length / 2 - np.abs(x - (column + 0.5) * length)
    )
    inset = inset + wobble - 1.6
    key = (row * 131 + column * 57).astype(np.intp) % 997
    tone = rng.normal(0, 1, 997).astype(np.float32)[key]
    rough = fractal_noise(rng, height, width, 5, 7, octaves=3)
    clay = _tint(rng, (172, 74, 56), (166, 68, 54), (178, 80, 60))
    face = _blend(clay * 0.78, clay * 1.16 + (6, 8, 4), 0.5 + 0.24 * tone + 0.16 * rough)
    slope = (y - (row + 0.5) * course) / course
    mortar = _tint(rng, (200, 190, 176), (186, 178, 168)) * (1 + 0.05 * rough[..., None])
    edge = _bevel(inset, 1.5)[..., None]
    return _image(mortar * (1 - edge) + face * edge, 1 - 0.18 * slope * edge[..., 0] - 0.1 * (inset < 0))


def wood(rng: np.random.Generator, height: int, width: int) -> Image:
    """Planks laid across, each with its own grain."""
    plank = rng.uniform(38, 56)
    y, x = _grid(rng, height, width)
    row = np.floor(y / plank)
    inset = plank / 2 - np.abs(y - (row + 0.5) * plank)
    own = rng.uniform(0, 1, int(row.max()) + 1)[row.astype(np.intp)].astype(np.float32)
    length = plank * 9
    end = np.abs((x + own * length) / length % 1 - 0.5) * length
    swirl = fractal_noise(rng, height, width, 24, 200, octaves=3)
    ring = np.sin((y + 40 * own + 10 * swirl) * np.float32(2 * np.pi / 9))
    fibre = fractal_noise(rng, height, width, 3, 70, octaves=2)
    oak = _tint(rng, (176, 122, 66), (168, 114, 60), (184, 130, 74))
    grain = 0.5 + 0.26 * ring + 0.2 * fibre + 0.5 * (own - 0.5)
    colour = _blend(oak * 0.74, oak * 1.18 + (10, 8, 4), grain)
    gap = np.minimum(_bevel(inset, 2.2), _bevel(end, 1.8))
    return _image(colour, 0.35 + 0.65 * gap)


def cobblestone(rng: np.random.Generator, height: int, width: int) -> Image:
    """Rounded grey stones with dark joints."""
    size = rng.uniform(24, 36)
    nearest, second, stone = cells(rng, height, width, size * 0.85, size)
    gap = second - nearest
    dome = np.clip(gap * 2.6, 0, 1) ** 0.6 * (1.08 - 0.45 * nearest**2)
    tone = rng.normal(0, 1, stone.max() + 1).astype(np.float32)[stone]
    warm = rng.normal(0, 1, stone.max() + 1).astype(np.float32)[stone]
    grey = _tint(rng, (152, 150, 144), (144, 142, 140), (162, 158, 150))
    rough = fractal_noise(rng, height, width, 6, 6, octaves=3)
    slope = np.diff(dome, axis=0, prepend=dome[:1]) + np.diff(dome, axis=1, prepend=dome[:, :1])
    light = dome * (1 + 0.13 * tone + 0.06 * rough) - 0.9 * slope
    colour = grey + warm[..., None] * np.array((6, 1, -5), np.float32)
    return _image(colour, 0.22 + 0.84 * np.clip(light, 0, 1.4))


def checkerboard(rng: np.random.Generator, height: int, width: int) -> Image:
    """Squares of two colours, slightly worn."""
    dark = _tint(rng, (34, 34, 40), (40, 30, 34), (28, 34, 48))
    pale = _tint(rng, (240, 236, 226), (236, 236, 234))
    size = rng.uniform(14, 30)
    angle = rng.normal(0, 0.04)
    y, x = _grid(rng, height, width)
    u = (x * np.cos(angle) + y * np.sin(angle)) / size
    v = (y * np.cos(angle) - x * np.sin(angle)) / size
    # The product of two sines changes sign at every border; its steep clip smooths the steps of a pixel.
    sign = np.sin(np.pi * u) * np.sin(np.pi * v)
    amount = np.clip(0.5 + sign * size / 4, 0, 1)
    worn = fractal_noise(rng, height, width, 18, 18)
    return _image(_blend(dark, pale, np.asarray(amount, np.float32)), 1 + 0.04 * worn)


def tartan(rng: np.random.Generator, height: int, width: int) -> Image:
    """Woven cloth: the same stripes in warp and weft, over and under in a twill."""
    palettes = (
        ((178, 26, 52), (24, 66, 52), (22, 32, 72), (240, 214, 120)),
        ((184, 30, 54), (28, 44, 80), (26, 26, 40), (244, 240, 232)),
        ((170, 22, 58), (30, 66, 62), (28, 30, 62), (248, 226, 190)),
    )
    colours = np.asarray(palettes[rng.integers(len(palettes))], np.float32)
    thread = rng.uniform(0.85, 1.2)
    order = np.repeat([0, 1, 0, 2, 3, 2, 0, 1], [14, 7, 3, 5, 2, 5, 3, 7])
    y, x = _grid(rng, height, width)
    weft = colours[order[(y / thread).astype(np.intp) % order.size]]
    warp = colours[order[(x / thread).astype(np.intp) % order.size]]
    over = ((np.floor(x / 2) + np.floor(y / 2)) % 4 < 2)[..., None]
    cloth = np.where(over, 0.75 * weft + 0.25 * warp, 0.25 * weft + 0.75 * warp)
    fold = smooth_noise(rng, height, width, 70, 70)
    return _image(cloth, 1 + 0.06 * fold + 0.05 * rng.standard_normal((height, width), dtype=np.float32))


def roof_tiles(rng: np.random.Generator, height: int, width: int) -> Image:
    """Overlapping rounded slates, each row over the next."""
    size = rng.uniform(26, 36)
    drop = size * 0.62
    y, x = _grid(rng, height, width)
    row = np.floor(y / drop)
    # A tile hangs into the row below it: inside its half circle a pixel belongs to the row above.
    across = (x / size + 0.5 * ((row - 1) % 2)) % 1 - 0.5
    below = (y - row * drop) / size
    bow = np.hypot(across, below / 0.85) < 0.5
    owner = row - bow
    column = np.floor(x / size + 0.5 * (owner % 2))
    offset = (x / size + 0.5 * (owner % 2)) % 1 - 0.5
    reach = (y - owner * drop) / size
    rim = np.hypot(offset, np.maximum(reach - 0.62, 0) / 0.85)
    key = (owner * 113 + column * 71).astype(np.intp) % 997
    tone = rng.normal(0, 1, 997).astype(np.float32)[key]
    slate = _tint(rng, (98, 88, 134), (92, 84, 128), (104, 90, 136))
    rough = fractal_noise(rng, height, width, 8, 5, octaves=3)
    colour = _blend(slate * 0.82, slate * 1.2 + 8, 0.5 + 0.25 * tone + 0.14 * rough)
    light = 0.62 + 0.5 * reach - 0.45 * _bevel(rim - 0.4, 0.1)
    return _image(colour, light)


TEXTURES: dict[str, Texture] = {
    "sky": sky,
    "water": water,
    "grass": grass,
    "sand": sand,
    "brick": brick,
    "wood": wood,
    "cobblestone": cobblestone,
    "checkerboard": checkerboard,
    "tartan": tartan,
    "roof tiles": roof_tiles,
}
"""Name of each class and how it is painted; a class's id is its place."""
