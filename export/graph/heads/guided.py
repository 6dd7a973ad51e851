"""A label map whose borders follow the image: a guided filter of the classes' probabilities, guided by its colours.

He, Sun, Tang, "Guided Image Filtering" (TPAMI 2013): in a window, the probability of a class is taken for a linear
function of the colour, fitted by least squares; a pixel gets the mean of what the windows that hold it say. As in the
fast variant (He and Sun, arXiv:1505.00996) the functions are fitted at few places, the centres of the cells, and
interpolated between them. Between the cells the probabilities are bilinear, and so all sums over a window are sums over
cells: no class has values at full size until it is known that it can win there.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from ...types import Tensor
from .label_map import ROUNDING, Bands, Places, bands, best_classes, label_patches

EPSILON = 3e-4
"""Of colours between 0 and 1: where they vary less than this, squared, they say little of where a border lies."""

SMOOTHED = 9
"""Pixels a side over which colours are averaged: noise and texture are no borders."""

_COLOURS = 3
_PRODUCTS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
_SQUARE = (0, 1, 2, 1, 3, 4, 2, 4, 5)  # which of these products stands where in a matrix of 3x3
_TERMS = 1 + _COLOURS + len(_PRODUCTS)
_VALUES = 4 * (1 + _COLOURS)  # of a pixel: 1 and its colour, weighted for each of four cells


def guided_label_map(logits: Tensor, image: Tensor, places: Places, reach: int) -> Tensor:
    """The class with the largest filtered probability at each pixel.

    Args:
        logits: float32 [h, w, C].
        image: uint8 [H, W, 3].
        places: of its pixels.
        reach: of a window to each side of its cell's centre, in cells.

    Returns:
        int32 [H, W]; of equal probabilities the first class wins.
    """
    rows, columns = (bands(place, tf.shape(logits)[axis]) for axis, place in enumerate(places))
    ids, competing = _competing(logits, reach)
    guide = _guide(image)
    patches = _Patches(guide, rows, columns)
    probabilities = tf.gather(tf.nn.softmax(logits), ids, axis=-1)
    functions = _functions(probabilities, patches, rows, columns, reach)

    def best_of(ids: Tensor, numbers: Tensor) -> Tensor:
        return _best_of(ids, numbers, functions, guide, rows, columns)

    candidates = _classes_that_can_win(functions, competing, patches, rows, columns)
    return tf.gather(ids, label_patches(candidates, best_of, rows, columns, _VALUES))


def _competing(logits: Tensor, reach: int) -> tuple[Tensor, Tensor]:
    """The classes that are the best of some cell, int32 [K], ascending; and where one is: bool [h, w, K].

    There, it is the best of a cell within `reach`.
    """
    best = best_classes(logits)
    ids, _ = tf.unique(tf.sort(tf.reshape(best, [-1])))
    near = tf.cast(tf.equal(best[..., None], ids), tf.float32)
    for window in ([2 * reach + 1, 1], [1, 2 * reach + 1]):
        near = tf.nn.max_pool2d(near[None], window, strides=1, padding="SAME")[0]
    return ids, near > 0


def _guide(image: Tensor) -> Tensor:
    """The colours of uint8 [H, W, 3], smoothed, float32 [3, H, W] between -0.5 and 0.5: squares' sums lose little."""
    smoothed = tf.cast(image, tf.float32)[None]
    for window in ([SMOOTHED, 1], [1, SMOOTHED]):
        smoothed = tf.nn.avg_pool2d(smoothed, window, strides=1, padding="SAME")
    return tf.transpose(smoothed[0] / 255 - 0.5, [2, 0, 1])


class _Patches:
    """What the filter has to know of the colours in each patch between four cells.

    Attributes:
        weighted: sums over the pixels of 1 and their colours, weighted with their shares of each of the four cells:
            float32 [rows, columns, 1 + 3, 4].
        sums: of 1, the colours, and the products of two of them: [rows, columns, 1 + 3 + 6].
        least, most: the range of the colours, [rows, columns, 3].
    """

    def __init__(self, guide: Tensor, rows: Bands, columns: Bands) -> None:
        down, across = _shares(rows), _shares(columns)

        def by_column(lines: Tensor) -> Tensor:
            """What lies in each band of columns: [K, W] to [columns, length, K]."""
            return tf.gather(tf.transpose(lines), columns.position)

        def of_band(band: Tensor) -> tuple[Tensor, ...]:
            colours = tf.gather(guide, rows.position[band], axis=1)  # [3, length, W]
            products = [colours[one] * colours[other] for one, other in _PRODUCTS]
            terms = tf.stack([tf.ones_like(colours[0]), *tf.unstack(colours, _COLOURS), *products])
            lines = tf.reshape(tf.matmul(down[band], terms), [_TERMS * 3, -1])
            sums = tf.reshape(tf.matmul(across, by_column(lines)), [-1, 3, _TERMS, 3])
            return (
                tf.transpose(sums, [0, 2, 3, 1]),
                tf.reduce_min(by_column(tf.reduce_min(colours, axis=1)), axis=1),
                tf.reduce_max(by_column(tf.reduce_max(colours, axis=1)), axis=1),
            )

        shapes = ([None, _TERMS, 3, 3], [None, _COLOURS], [None, _COLOURS])
        sums, self.least, self.most = tf.map_fn(
            tf.autograph.experimental.do_not_convert(of_band),
            tf.range(tf.size(rows.lower)),
            fn_output_signature=tuple(tf.TensorSpec(shape) for shape in shapes),
            parallel_iterations=1,
        )
        grid = [tf.size(rows.lower), tf.size(columns.lower)]
        self.weighted = tf.reshape(sums[:, :, : 1 + _COLOURS, :2, :2], [*grid, 1 + _COLOURS, 4])
        self.sums = sums[..., 2, 2]


def _shares(axis: Bands) -> Tensor:
    """Of the lower and the upper cell at each position of a band, and their sum 1: [bands, 3, length].

    None where the band is filled up.
    """
    own = tf.cast(axis.inside, tf.float32)
    return tf.stack([own * (1 - axis.share), own * axis.share, own], axis=1)


def _functions(probabilities: Tensor, patches: _Patches, rows: Bands, columns: Bands, reach: int) -> Tensor:
    """Of each cell and class the linear function of the colour: float32 [h, w, 1 + 3, C], a constant and slopes."""
    height, width, classes = (tf.shape(probabilities)[axis] for axis in range(3))

    def in_windows(sums: Tensor) -> Tensor:
        """Means [h, w, K] over the patches [rows, columns, K] of each cell's window; missing ones count as zeros."""
        missing = [
            [axis.first + reach, cells + reach - axis.first - tf.size(axis.lower) - 1]
            for axis, cells in ((rows, height), (columns, width))
        ]
        sums = tf.pad(sums, [*missing, [0, 0]])
        for window in ([2 * reach, 1], [1, 2 * reach]):
            sums = tf.nn.avg_pool2d(sums[None], window, strides=1, padding="VALID")[0]
        return sums

    corners = [
        tf.gather(tf.gather(probabilities, down), across, axis=1)
        for down in (rows.lower, rows.upper)
        for across in (columns.lower, columns.upper)
    ]
    of_patches = tf.matmul(patches.weighted, tf.stack(corners, axis=2))
    grid = [tf.size(rows.lower), tf.size(columns.lower)]
    sums = in_windows(tf.concat([patches.sums, tf.reshape(of_patches, [*grid, -1])], axis=-1))
    pixels, sums = sums[..., :1], sums[..., 1:]
    means = sums / pixels
    mean, squares = means[..., :_COLOURS], means[..., _COLOURS : _TERMS - 1]
    covariance = tf.reshape(tf.gather(squares, _SQUARE, axis=-1), [height, width, _COLOURS, _COLOURS])
    covariance -= mean[..., :, None] * mean[..., None, :]
    with_classes = tf.reshape(means[..., _TERMS - 1 :], [height, width, 1 + _COLOURS, classes])
    alone, together = with_classes[:, :, :1], with_classes[:, :, 1:]
    inverse = tf.linalg.inv(covariance + EPSILON * tf.eye(_COLOURS))
    slopes = tf.matmul(inverse, together - mean[..., None] * alone)
    return tf.concat([alone - tf.matmul(mean[:, :, None], slopes), slopes], axis=2)


def _classes_that_can_win(
    functions: Tensor, competing: Tensor, patches: _Patches, rows: Bands, columns: Bands
) -> Tensor:
    """Whether a class may have the largest probability somewhere in a patch: bool [patches, C].

    A pixel's is a convex combination of what the functions of the four cells give its colour, and that lies between
    their least and largest values over the colours of the patch.
    """
    middle, half = (patches.most + patches.least) / 2, (patches.most - patches.least) / 2
    lows, highs, near = [], [], []
    for down in (rows.lower, rows.upper):
        for across in (columns.lower, columns.upper):
            of_cell = tf.gather(tf.gather(functions, down), across, axis=1)
            constant, slopes = of_cell[:, :, 0], of_cell[:, :, 1:]
            value = constant + tf.matmul(middle[:, :, None], slopes)[:, :, 0]
            spread = tf.matmul(half[:, :, None], tf.abs(slopes))[:, :, 0]
            lows.append(value - spread)
            highs.append(value + spread)
            near.append(tf.gather(tf.gather(competing, down), across, axis=1))
    lowest = tf.minimum(tf.minimum(lows[0], lows[1]), tf.minimum(lows[2], lows[3]))
    highest = tf.maximum(tf.maximum(highs[0], highs[1]), tf.maximum(highs[2], highs[3]))
    competes = near[0] | near[1] | near[2] | near[3]
    bar = tf.reduce_max(tf.where(competes, lowest, -np.inf), axis=-1, keepdims=True)
    candidates = competes & (highest >= bar - ROUNDING * tf.reduce_max(tf.abs(highest)))
    return tf.reshape(candidates, [-1, tf.shape(functions)[-1]])


def _best_of(
    ids: Tensor, numbers: Tensor, functions: Tensor, guide: Tensor, rows: Bands, columns: Bands
) -> Tensor:
    """The class with the largest probability at each pixel: ids int32 [n, K], patches [n], to [n, rows, columns]."""
    row, column = numbers // tf.size(columns.lower), numbers % tf.size(columns.lower)
    y, x = tf.gather(rows.position, row), tf.gather(columns.position, column)
    pixels = y[:, :, None] * tf.shape(guide)[2] + x[:, None, :]
    colours = tf.gather(tf.reshape(guide, [_COLOURS, -1]), pixels, axis=1)
    down, across = tf.gather(rows.share, row)[:, :, None], tf.gather(columns.share, column)[:, None, :]
    terms, of_corners = [], []
    for cell_down, share_down in ((rows.lower, 1 - down), (rows.upper, down)):
        for cell_across, share_across in ((columns.lower, 1 - across), (columns.upper, across)):
            cells = tf.stack([tf.gather(cell_down, row), tf.gather(cell_across, column)], axis=1)
            share = share_down * share_across
            terms += [share, *(share * colours[channel] for channel in range(_COLOURS))]
            of_corners.append(tf.gather(tf.gather_nd(functions, cells), ids, axis=2, batch_dims=1))
    weights = tf.reshape(
        tf.stack(terms, axis=1), [tf.size(numbers), len(terms), rows.length * columns.length]
    )
    scores = tf.matmul(weights, tf.concat(of_corners, axis=1), transpose_a=True)
    best = tf.gather(ids, tf.argmax(scores, axis=-1, output_type=tf.int32), batch_dims=1)
    return tf.reshape(best, [-1, rows.length, columns.length])
