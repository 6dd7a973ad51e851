"""Random fields that the textures are made of: smooth noise, its fractal sum, cells around random points."""

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]


def _spline_weights(rng: np.random.Generator, size: int, spacing: float) -> Field:
    """Weights float32 [size, knots] of a uniform cubic B-spline over knots `spacing` pixels apart."""
    position = np.arange(size) / spacing + rng.random()
    knot = np.floor(position).astype(np.intp)
    t = (position - knot)[:, None]
    basis = np.concatenate(
        [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1
    )
    weights = np.zeros((size, knot[-1] + 4), np.float32)
    np.put_along_axis(weights, knot[:, None] + np.arange(4), (basis / 6).astype(np.float32), axis=1)
    return weights


def smooth_noise(rng: np.random.Generator, height: int, width: int, dy: float, dx: float) -> Field:
    """Noise float32 [H,W] of mean 0 and variance about 1, smooth over `dy` pixels down and `dx` across."""
    rows = _spline_weights(rng, height, dy)
    columns = _spline_weights(rng, width, dx)
    knots = rng.standard_normal((rows.shape[1], columns.shape[1]), dtype=np.float32)
    # A cubic B-spline averages its knots: 0.48 is what it leaves of their variance along one axis.
    return np.asarray((rows @ knots @ columns.T) / np.float32(0.48), np.float32)


def fractal_noise(
    rng: np.random.Generator, height: int, width: int, dy: float, dx: float, octaves: int = 4
) -> Field:
    """Octaves of smooth noise, each half as strong and twice as fine: float32 [H,W], variance about 1."""
    total = np.zeros((height, width), np.float32)
    gains = 0.5 ** np.arange(octaves)
    for gain in gains:
        total += np.float32(gain) * smooth_noise(rng, height, width, max(dy * gain, 1), max(dx * gain, 1))
    return np.asarray(total / np.float32(np.sqrt(np.sum(gains**2))), np.float32)


def cells(
    rng: np.random.Generator, height: int, width: int, dy: float, dx: float
) -> tuple[Field, Field, NDArray[np.intp]]:
    """Cells around jittered grid points (Worley, "A cellular texture basis function", SIGGRAPH 1996).

    Returns the distances to the nearest and the second nearest point, float32 [H,W] in units of the grid's
    spacing (`dy` pixels down, `dx` across), and the number of the nearest point, intp [H,W].
    """
    rows, columns = int(height / dy) + 4, int(width / dx) + 4
    jitter = rng.uniform(0.15, 0.85, (2, rows, columns)).astype(np.float32)
    y = (np.arange(height, dtype=np.float32) / np.float32(dy) + 1)[:, None]
    x = (np.arange(width, dtype=np.float32) / np.float32(dx) + 1)[None, :]
    row, column = y.astype(np.intp), x.astype(np.intp)
    nearest = np.full((height, width), np.inf, np.float32)
    second = nearest.copy()
    number = np.zeros((height, width), np.intp)
    for down in (-1, 0, 1):
        for across in (-1, 0, 1):
            r, c = row + down, column + across
            distance = np.hypot(y - r - jitter[0][r, c], x - c - jitter[1][r, c])
            closer = distance < nearest
            second = np.where(closer, nearest, np.minimum(second, distance))
            number = np.where(closer, r * columns + c, number)
            nearest = np.where(closer, distance, nearest)
    return nearest, second, number
