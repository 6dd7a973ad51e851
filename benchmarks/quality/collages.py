"""Collages of photographs of known class, so that every border in them is known: side by side, and pasted in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Photo = NDArray[np.uint8]  # [H, W, 3]

_SEED = 30
_TOGETHER = 4  # photographs in a collage


def collage(photos: Sequence[Photo], number: int, side: int) -> tuple[Photo, NDArray[np.uint8]]:
    """A square picture uint8 [side, side, 3], and for each pixel the photograph that it is of, uint8 [side, side].

    Every other one has its photographs side by side. In the rest one is the ground, in which the others lie as ellipses
    and rectangles. Each photograph is whole, in a field of about half the side; the ground repeats its own, mirrored.
    """
    rng = np.random.default_rng([_SEED, number])
    chosen = rng.choice(len(photos), _TOGETHER, replace=False)
    truth = _side_by_side(rng, side) if number % 2 else _pasted(rng, side)
    return _filled(photos, chosen, truth, grounded=number % 2 == 0)


def quarters(photos: Sequence[Photo], number: int, side: int) -> tuple[Photo, NDArray[np.uint8]]:
    """The same of four photographs, each in a quarter."""
    chosen = np.random.default_rng([_SEED, number]).choice(len(photos), _TOGETHER, replace=False)
    half = np.arange(side) >= side // 2
    return _filled(photos, chosen, 2 * half[:, None] + half, grounded=False)


def _filled(
    photos: Sequence[Photo], chosen: NDArray[np.int64], truth: NDArray[np.int64], grounded: bool
) -> tuple[Photo, NDArray[np.uint8]]:
    """The photographs `chosen` in the places of `truth`; the first of them is a ground or a field."""
    side = len(truth)
    picture = np.zeros((side, side, 3), np.uint8)
    for place, photo in enumerate(chosen):
        inside = truth == place
        top, left, bottom, right = _bounds(inside)
        field = inside[top:bottom, left:right]
        if grounded and place == 0:
            fitted = _mirrored(_resized(photos[photo], side // 2, side // 2))
        else:
            fitted = _resized(photos[photo], *field.shape)
        picture[top:bottom, left:right][field] = fitted[field]
    return picture, chosen[truth].astype(np.uint8)


def _side_by_side(rng: np.random.Generator, side: int) -> NDArray[np.int64]:
    """Two rows, each of two fields."""
    rows = np.arange(side) >= rng.integers(side * 3 // 8, side * 5 // 8)
    truth = np.zeros((side, side), np.int64)
    for row in (0, 1):
        columns = np.arange(side) >= rng.integers(side * 3 // 8, side * 5 // 8)
        truth[rows == row] = 2 * row + columns
    return truth


def _pasted(rng: np.random.Generator, side: int) -> NDArray[np.int64]:
    """A ground, and a shape in each of three of its quarters."""
    y, x = np.mgrid[:side, :side] + 0.5
    truth = np.zeros((side, side), np.int64)
    quarters = rng.permutation(4)[: _TOGETHER - 1]
    for place, quarter in enumerate(quarters, 1):
        middle = (np.array([quarter // 2, quarter % 2]) + rng.uniform(0.45, 0.55, 2)) * side / 2
        half = rng.uniform(0.4, 0.48, 2) * side / 2
        down, across = np.abs(y - middle[0]) / half[0], np.abs(x - middle[1]) / half[1]
        inside = np.maximum(down, across) < 1 if rng.random() < 0.5 else np.hypot(down, across) < 1
        truth[inside] = place
    return truth


def _bounds(inside: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def _resized(photo: Photo, height: int, width: int) -> Photo:
    return np.asarray(Image.fromarray(photo).resize((width, height), Image.Resampling.LANCZOS))


def _mirrored(photo: Photo) -> Photo:
    """The photograph beside and above its mirror images."""
    row = np.concatenate([photo, photo[:, ::-1]], 1)
    return np.concatenate([row, row[::-1]], 0)
