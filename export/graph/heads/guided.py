"""A label map whose borders follow the image: a guided filter of the classes' probabilities, guided by its colours.

He, Sun, Tang, "Guided Image Filtering" (TPAMI 2013): in a window, the probability of a class is taken for a linear
function of the colour, fitted by least squares; a pixel gets the mean of what the windows that hold it say. As in the
fast variant (He and Sun, arXiv:1505.00996) the functions are fitted at few places, the centres of the cells, and
interpolated between them. Between the cells the probabilities are bilinear, and so all sums over a window are sums over
cells: no class has values at full size until it is known that it can win there.
"""

from __future__ import annotations

import tensorflow as tf

from ...types import Tensor
from .label_map import ROUNDING, Bands, Places, bands, label_patches

EPSILON = 3e-4
"""Of colours between 0 and 1: where they vary less than this, squared, they say little of where a border lies."""

SMOOTHED = 9
"""Pixels a side over which colours are averaged: noise and texture are no borders."""

_COLOURS = 3
# Probabilities that a bound is tried with, see `_classes_that_can_win`.
_SHARES = (0.001, 0.003, 0.01, 0.03, 0.1)


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
    guide = _guide(image)
    patches = _Patches(guide, rows, columns)
    functions = _functions(tf.nn.softmax(logits), patches, rows, columns, reach)

    def best_of(ids: Tensor, numbers: Tensor) -> Tensor:
        return _best_of(ids, numbers, functions, guide, rows, columns)

    return label_patches(_classes_that_can_win(functions, patches, rows, columns), best_of, rows, columns)


def _guide(image: Tensor) -> Tensor:
    """The colours of uint8 [H, W, 3], smoothed, float32 between -0.5 and 0.5: sums of their squares lose little."""
    smoothed = tf.cast(image, tf.float32)[None]
    for window in ([SMOOTHED, 1], [1, SMOOTHED]):
        smoothed = tf.nn.avg_pool2d(smoothed, window, strides=1, padding="SAME")
    return smoothed[0] / 255 - 0.5


class _Patches:
    """What the filter has to know of the colours in each patch between four cells.

    Attributes:
        shares: sums of the pixels' shares of each of the four cells, float32 [rows, columns, 4].
        colours: sums of their colours, weighted with these shares, [rows, columns, 4, 3].
        squares: sums of the products of two colours, [rows, columns, 3, 3].
        least, most: the range of the colours, [rows, columns, 3].
    """

    def __init__(self, guide: Tensor, rows: Bands, columns: Bands) -> None:
        down, across = _shares(rows), _shares(columns)  # [bands, length, 2]
        own = tf.cast(columns.inside, tf.float32)[:, None]

        def of_band(band: Tensor) -> tuple[Tensor, ...]:
            colours = tf.gather(guide, rows.position[band])  # [length, W, 3]
            products = colours[..., None] * colours[..., None, :]
            weighted = tf.einsum("yu,yxg->uxg", down[band], colours)
            squares = tf.einsum("y,yxgk->xgk", tf.cast(rows.inside[band], tf.float32), products)
            by_column = tf.gather(weighted, columns.position, axis=1)  # [2, columns, length, 3]
            flat = tf.reshape(tf.gather(squares, columns.position), [*_sizes(columns.share), _COLOURS**2])
            return (
                tf.einsum("bxv,ubxg->buvg", across, by_column),
                tf.matmul(own, flat)[:, 0],
                tf.reduce_min(tf.gather(tf.reduce_min(colours, axis=0), columns.position), axis=1),
                tf.reduce_max(tf.gather(tf.reduce_max(colours, axis=0), columns.position), axis=1),
            )

        shapes = ([None, 2, 2, _COLOURS], [None, _COLOURS**2], [None, _COLOURS], [None, _COLOURS])
        colours, squares, self.least, self.most = tf.map_fn(
            of_band,
            tf.range(tf.size(rows.lower)),
            fn_output_signature=tuple(tf.TensorSpec(shape) for shape in shapes),
            parallel_iterations=1,
        )
        grid = [tf.size(rows.lower), tf.size(columns.lower)]
        shares = tf.einsum("au,bv->abuv", tf.reduce_sum(down, axis=1), tf.reduce_sum(across, axis=1))
        self.shares = tf.reshape(shares, [*grid, 4])
        self.colours = tf.reshape(colours, [*grid, 4, _COLOURS])
        self.squares = tf.reshape(squares, [*grid, _COLOURS, _COLOURS])


def _sizes(tensor: Tensor) -> list[Tensor]:
    return [tf.shape(tensor)[axis] for axis in range(len(tensor.shape))]


def _shares(axis: Bands) -> Tensor:
    """Of the lower and the upper cell at each position of a band, none where it is filled up: [bands, length, 2]."""
    own = tf.cast(axis.inside, tf.float32)
    return tf.stack([own * (1 - axis.share), own * axis.share], axis=-1)


def _functions(probabilities: Tensor, patches: _Patches, rows: Bands, columns: Bands, reach: int) -> Tensor:
    """Of each cell and class the linear function of the colour: float32 [h, w, 3 + 1, C], slopes and a constant."""

    def in_windows(sums: Tensor) -> Tensor:
        """Means [h, w, K] over the patches [rows, columns, K] of each cell's window; missing ones count as zeros."""
        missing = [
            [
                axis.first + reach,
                tf.shape(probabilities)[index] + reach - axis.first - tf.size(axis.lower) - 1,
            ]
            for index, axis in enumerate((rows, columns))
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

    def with_probabilities(weights: Tensor) -> Tensor:
        """Means over windows of probabilities, the four cells' weighted: [rows, columns, 4] to [h, w, C]."""
        return in_windows(
            tf.add_n([weights[:, :, corner, None] * each for corner, each in enumerate(corners)])
        )

    pixels = in_windows(tf.reduce_sum(patches.shares, axis=2, keepdims=True))
    mean = in_windows(tf.reduce_sum(patches.colours, axis=2)) / pixels
    squares = [in_windows(patches.squares[:, :, channel]) / pixels for channel in range(_COLOURS)]
    covariance = tf.stack(squares, axis=2) - mean[..., :, None] * mean[..., None, :]
    alone = with_probabilities(patches.shares) / pixels
    together = [with_probabilities(patches.colours[..., channel]) / pixels for channel in range(_COLOURS)]
    with_colours = tf.stack(together, axis=2) - mean[..., None] * alone[:, :, None]
    slopes = tf.matmul(tf.linalg.inv(covariance + EPSILON * tf.eye(_COLOURS)), with_colours)
    constant = alone[:, :, None] - tf.matmul(mean[:, :, None], slopes)
    return tf.concat([slopes, constant], axis=2)


def _classes_that_can_win(functions: Tensor, patches: _Patches, rows: Bands, columns: Bands) -> Tensor:
    """Whether a class may have the largest probability somewhere in a patch: bool [patches, C].

    A pixel's is a convex combination of what the functions of the four cells give its colour, and that lies between
    their least and largest values over the colours of the patch. All probabilities of a pixel sum to 1: where those of
    some classes are small all over a patch, the largest of the others is at least their mean share of the rest.
    """
    middle, half = (patches.most + patches.least) / 2, (patches.most - patches.least) / 2
    lows, highs = [], []
    for down in (rows.lower, rows.upper):
        for across in (columns.lower, columns.upper):
            of_cell = tf.gather(tf.gather(functions, down), across, axis=1)
            slopes, constant = of_cell[:, :, :_COLOURS], of_cell[:, :, _COLOURS]
            value = constant + tf.matmul(middle[:, :, None], slopes)[:, :, 0]
            spread = tf.matmul(half[:, :, None], tf.abs(slopes))[:, :, 0]
            lows.append(value - spread)
            highs.append(value + spread)
    lowest = tf.minimum(tf.minimum(lows[0], lows[1]), tf.minimum(lows[2], lows[3]))
    highest = tf.maximum(tf.maximum(highs[0], highs[1]), tf.maximum(highs[2], highs[3]))
    bar = tf.reduce_max(lowest, axis=-1, keepdims=True)
    for share in _SHARES:
        small = highest < share
        of_small = tf.reduce_sum(tf.nn.relu(tf.where(small, highest, 0.0)), axis=-1, keepdims=True)
        others = tf.math.count_nonzero(~small, axis=-1, keepdims=True, dtype=tf.float32)
        bar = tf.where(1 - of_small > share * others, tf.maximum(bar, share), bar)
    candidates = highest >= bar - ROUNDING * tf.reduce_max(tf.abs(highest))
    return tf.reshape(candidates, [-1, tf.shape(functions)[-1]])


def _best_of(
    ids: Tensor, numbers: Tensor, functions: Tensor, guide: Tensor, rows: Bands, columns: Bands
) -> Tensor:
    """The class with the largest probability at each pixel: ids int32 [n, K], patches [n], to [n, rows, columns]."""
    row, column = numbers // tf.size(columns.lower), numbers % tf.size(columns.lower)
    y, x = tf.gather(rows.position, row), tf.gather(columns.position, column)
    pixels = y[:, :, None] * tf.shape(guide)[1] + x[:, None, :]
    colours = tf.gather(tf.reshape(guide, [-1, _COLOURS]), pixels)
    terms = tf.concat([colours, tf.ones_like(colours[..., :1])], axis=-1)  # [n, rows, columns, 3 + 1]
    shares, of_corners = [], []
    down, across = tf.gather(rows.share, row)[:, :, None], tf.gather(columns.share, column)[:, None, :]
    for cell_down, share_down in ((rows.lower, 1 - down), (rows.upper, down)):
        for cell_across, share_across in ((columns.lower, 1 - across), (columns.upper, across)):
            cells = tf.stack([tf.gather(cell_down, row), tf.gather(cell_across, column)], axis=1)
            shares.append((share_down * share_across)[..., None] * terms)
            of_corners.append(tf.gather(tf.gather_nd(functions, cells), ids, axis=2, batch_dims=1))
    weights = tf.reshape(
        tf.concat(shares, axis=-1), [tf.size(numbers), rows.length * columns.length, 4 * (_COLOURS + 1)]
    )
    scores = tf.matmul(weights, tf.concat(of_corners, axis=1))
    best = tf.gather(ids, tf.argmax(scores, axis=-1, output_type=tf.int32), batch_dims=1)
    return tf.reshape(best, [-1, rows.length, columns.length])
