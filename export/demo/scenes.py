"""Pictures composed of textures, with the class of every pixel known."""

import numpy as np
from numpy.typing import NDArray

from .textures import TEXTURES, Image

LabelMap = NDArray[np.uint8]

CLASS_NAMES = tuple(TEXTURES)
MIN_SHARE = 0.07
"""Least share of a composed scene that a region covers."""


def paint(rng: np.random.Generator, label_map: LabelMap) -> Image:
    """Fills each class of `label_map` uint8 [H,W] with its texture: uint8 RGB [H,W,3]."""
    image = np.zeros((*label_map.shape, 3), np.uint8)
    for class_id in np.unique(label_map):
        mask = label_map == class_id
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        texture = TEXTURES[CLASS_NAMES[class_id]](rng, *mask[box].shape)
        image[box][mask[box]] = texture[mask[box]]
    return image


def _cut(rng: np.random.Generator, region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The part of `region` [H,W] beyond a random straight, wavy or elliptic border through it."""
    height, width = region.shape
    rows, columns = np.nonzero(region)
    chosen = rng.integers(rows.size)
    y = np.arange(height)[:, None] - rows[chosen]
    x = np.arange(width)[None, :] - columns[chosen]
    angle = rng.uniform(0, 2 * np.pi)
    along = x * np.cos(angle) + y * np.sin(angle)
    across = y * np.cos(angle) - x * np.sin(angle)
    size = min(height, width)
    kind = rng.choice(["straight", "wavy", "ellipse"])
    if kind == "straight":
        beyond = across > 0
    elif kind == "wavy":
        swing = size * rng.uniform(0.04, 0.1)
        beyond = across > swing * np.sin(along * 2 * np.pi / (size * rng.uniform(0.7, 1.3)))
    else:
        beyond = (along / rng.uniform(0.2, 0.4)) ** 2 + (across / rng.uniform(0.2, 0.4)) ** 2 < size**2
    return np.asarray(region & beyond)


def layout(rng: np.random.Generator, height: int, width: int, regions: int) -> LabelMap:
    """Divides a picture into `regions` numbered parts, none below MIN_SHARE of it: uint8 [H,W]."""
    label_map = np.zeros((height, width), np.uint8)
    for number in range(1, regions):
        largest = label_map == np.bincount(label_map.ravel()).argmax()
        new = np.zeros_like(largest)
        while min(new.mean(), (largest & ~new).mean()) < MIN_SHARE:
            new = _cut(rng, largest)
        label_map[new] = number
    return label_map


def compose(rng: np.random.Generator, height: int, width: int, regions: int) -> tuple[Image, LabelMap]:
    """A scene of `regions` different textures with straight and curved borders.

    Returns the image, uint8 RGB [H,W,3], and the class id of each pixel, uint8 [H,W]. `regions` is 1 to the
    number of classes; the same state of `rng` gives the same scene.
    """
    classes = rng.permutation(len(CLASS_NAMES))[:regions].astype(np.uint8)
    label_map = classes[layout(rng, height, width, regions)]
    return paint(rng, label_map), label_map
