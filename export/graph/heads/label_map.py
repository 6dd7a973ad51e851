"""From coarse logits to a label map at the image's size, exact, without all full-size scores at once.

Between the centres of four neighbouring cells lies a patch of pixels whose scores are convex combinations of the
four cells'. So a class whose largest corner lies below the largest of all classes' smallest corners cannot win in
that patch. Most patches are decided by this alone; in the others only the classes that are left are interpolated, a
few patches at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from ...types import Tensor
from ..images.preprocessing import lerp

_SCORES_AT_ONCE = 2 * 2**20  # float32 values of the patches that are interpolated together: 8 MB
# Rounding may lift an interpolated score this far, relative to the scores, above its corners.
ROUNDING = 1e-5


def label_dtype(classes: int) -> tf.DType:
    """The dtype of label maps: uint8 up to 256 classes, else uint16."""
    return tf.uint8 if classes <= 256 else tf.uint16


def best_classes(logits: Tensor) -> Tensor:
    """The class with the largest logit of each cell, the first of equals: [..., h, w, C] to int32 [..., h, w]."""
    return tf.argmax(logits, axis=-1, output_type=tf.int32)


class Places(NamedTuple):
    """Where an image's pixels lie on the grid of cells: float32 [H] and [W], ascending, 0 at the first cell's centre.

    Pixels outside the centres of the first and the last cell get that cell's scores.
    """

    rows: Tensor
    columns: Tensor


def aligned_places(size: Tensor, spacing: int, centre: float) -> Places:
    """Places for an image of `size` int32 [2]: cells `spacing` pixels apart, the first `centre` from the edge."""
    return Places(*((_pixels(size[axis]) - centre) / spacing for axis in (0, 1)))


def stretched_places(size: Tensor, cells: Tensor) -> Places:
    """Places for an image of `size` int32 [2] that is divided evenly among `cells` int32 [2], as images are resized."""
    return Places(
        *(
            _pixels(size[axis]) * (tf.cast(cells[axis], tf.float32) / tf.cast(size[axis], tf.float32)) - 0.5
            for axis in (0, 1)
        )
    )


def _pixels(size: Tensor) -> Tensor:
    """The centres of `size` pixels."""
    return tf.cast(tf.range(size), tf.float32) + 0.5


def averaged(logits: Tensor) -> Tensor:
    """Scores [h, w, C] averaged with their neighbours', 1-2-1 along both axes; border cells count twice.

    What a cell finds depends on how the image lies under the strides of pooling (Zhang, arXiv:1904.11486). The mean
    over cells a few pixels apart depends on it less than each of them.
    """
    for axis in (0, 1):
        last = tf.shape(logits)[axis] - 1
        before, behind = (
            tf.gather(logits, tf.clip_by_value(tf.range(last + 1) + shift, 0, last), axis=axis)
            for shift in (-1, 1)
        )
        logits = 0.25 * before + 0.5 * logits + 0.25 * behind
    return logits


def pooled(logits: Tensor, side: int) -> Tensor:
    """The mean of the scores [h, w, C] in a window of `side` x `side` cells around each, of those that exist.

    The last layer of a network that pools globally is linear: of the mean of features it makes the mean of scores.
    """
    for window in ([side, 1], [1, side]):
        logits = tf.nn.avg_pool2d(logits[None], window, strides=1, padding="SAME")[0]
    return logits


def nearest_label_map(logits: Tensor, places: Places) -> Tensor:
    """Argmax of float32 [h, w, C] at the cell nearest to each pixel, the later one of two: int32 [H, W]."""
    rows, columns = (
        tf.clip_by_value(tf.cast(tf.floor(place + 0.5), tf.int32), 0, tf.shape(logits)[axis] - 1)
        for axis, place in enumerate(places)
    )
    return tf.gather(tf.gather(best_classes(logits), rows), columns, axis=1)


def bilinear_label_map(logits: Tensor, places: Places) -> Tensor:
    """Label map of bilinearly interpolated logits: what `tf.image.resize` and argmax give.

    Args:
        logits: float32 [h, w, C].
        places: of the image's pixels.

    Returns:
        int32 [H, W]; of equal scores the first class wins.
    """
    rows, columns = (bands(place, tf.shape(logits)[axis]) for axis, place in enumerate(places))

    def best_of(ids: Tensor, patches: Tensor) -> Tensor:
        return _best_of(ids, patches, logits, rows, columns)

    return label_patches(_classes_that_can_win(logits, rows, columns), best_of, rows, columns)


def label_patches(
    candidates: Tensor,
    best_of: Callable[[Tensor, Tensor], Tensor],
    rows: Bands,
    columns: Bands,
    least_values: int = 1,
) -> Tensor:
    """Label map of patches in most of which one class alone can win.

    Args:
        candidates: bool [patches, C], whether a class can win somewhere in a patch; one can in each.
        best_of: takes classes int32 [n, K] of each of some patches, and which patches, int32 [n]; returns the best of
            these classes at each pixel, int32 [n, rows, columns].
        rows: the bands that make the patches.
        columns: the same of the other axis.
        least_values: that `best_of` has of a pixel, however few the classes.

    Returns:
        int32 [H, W].
    """
    counts = tf.math.count_nonzero(candidates, axis=1, dtype=tf.int32)
    order = tf.argsort(counts, direction="DESCENDING")
    counts = tf.gather(counts, order)
    undecided = tf.math.count_nonzero(counts > 1, dtype=tf.int32)
    pixels = rows.length * columns.length

    def interpolate(start: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        values = pixels * tf.maximum(counts[start], least_values)
        end = tf.minimum(start + tf.maximum(_SCORES_AT_ONCE // values, 1), undecided)
        patches = order[start:end]
        # Of equal values top_k takes the lower index first: the candidates, ascending, then classes that cannot win.
        ids = tf.math.top_k(tf.cast(tf.gather(candidates, patches), tf.int32), counts[start]).indices
        return end, tf.tensor_scatter_nd_update(labels, patches[:, None], best_of(ids, patches))

    decided = tf.argmax(tf.cast(candidates, tf.uint8), axis=1, output_type=tf.int32)
    labels = tf.tile(decided[:, None, None], [1, rows.length, columns.length])
    _, labels = tf.while_loop(
        lambda start, _: start < undecided, interpolate, (tf.constant(0), labels), parallel_iterations=1
    )
    return _assemble(labels, rows, columns)


class Bands(NamedTuple):
    """How one axis falls into bands, each between the centres of two neighbouring cells.

    Attributes:
        first: the cell before the first band, int32; -1 or less where that begins before the first cell.
        lower, upper: the two cells of each band, int32 [bands]; the same one at the borders.
        position: in the image, int32 [bands, length].
        inside: which of them are the band's own, bool [bands, length]; the shorter bands are filled up.
        share: of the upper cell at each position of a band, float32 [bands, length].
        length: positions of the longest band.
        index: of each position of the image in the bands laid end to end, int32 [size].
    """

    first: Tensor
    lower: Tensor
    upper: Tensor
    position: Tensor
    inside: Tensor
    share: Tensor
    length: Tensor
    index: Tensor


def bands(place: Tensor, cells: Tensor) -> Bands:
    """The bands of one axis; those before the first centre and after the last have one cell at both ends."""
    size = tf.size(place)
    floor = tf.floor(place)
    first = tf.cast(floor[0], tf.int32)
    band = tf.cast(floor, tf.int32) - first
    number = tf.range(band[-1] + 1)
    edges = tf.searchsorted(band, tf.range(band[-1] + 2))
    start = edges[:-1]
    length = tf.reduce_max(edges[1:] - start)
    position = start[:, None] + tf.range(length)
    inside = position < edges[1:, None]
    position = tf.minimum(position, size - 1)
    return Bands(
        first=first,
        lower=tf.clip_by_value(first + number, 0, cells - 1),
        upper=tf.clip_by_value(first + number + 1, 0, cells - 1),
        position=position,
        inside=inside,
        share=tf.gather(place - floor, position),
        length=length,
        index=band * length + tf.range(size) - tf.gather(start, band),
    )


def _classes_that_can_win(logits: Tensor, rows: Bands, columns: Bands) -> Tensor:
    """Whether a class may have the largest score somewhere in a patch: bool [patches, C]."""

    def of_corners(choose: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        down = choose(tf.gather(logits, rows.lower), tf.gather(logits, rows.upper))
        across = choose(tf.gather(down, columns.lower, axis=1), tf.gather(down, columns.upper, axis=1))
        return tf.reshape(across, [-1, tf.shape(logits)[-1]])

    bar = tf.reduce_max(of_corners(tf.minimum), axis=1, keepdims=True)
    return of_corners(tf.maximum) >= bar - ROUNDING * tf.reduce_max(tf.abs(logits))


def _best_of(ids: Tensor, patches: Tensor, logits: Tensor, rows: Bands, columns: Bands) -> Tensor:
    """The class with the largest score at each pixel: ids int32 [n, K], patches [n], to int32 [n, rows, columns]."""
    row, column = patches // tf.size(columns.lower), patches % tf.size(columns.lower)

    def corner(rows_of_band: Tensor, columns_of_band: Tensor) -> Tensor:
        cells = tf.stack([tf.gather(rows_of_band, row), tf.gather(columns_of_band, column)], axis=1)
        return tf.gather(tf.gather_nd(logits, cells), ids, batch_dims=1)[:, None, :]

    across = tf.gather(columns.share, column)[:, :, None]
    top = lerp(corner(rows.lower, columns.lower), corner(rows.lower, columns.upper), across)
    bottom = lerp(corner(rows.upper, columns.lower), corner(rows.upper, columns.upper), across)
    scores = lerp(top[:, None], bottom[:, None], tf.gather(rows.share, row)[:, :, None, None])
    return tf.gather(ids, tf.argmax(scores, axis=-1, output_type=tf.int32), batch_dims=1)


def _assemble(labels: Tensor, rows: Bands, columns: Bands) -> Tensor:
    """Lay the patches [patches, rows, columns] side by side and keep the image's pixels."""
    grid = tf.reshape(labels, [tf.size(rows.lower), tf.size(columns.lower), rows.length, columns.length])
    whole = tf.reshape(
        tf.transpose(grid, [0, 2, 1, 3]),
        [tf.size(rows.lower) * rows.length, tf.size(columns.lower) * columns.length],
    )
    return tf.gather(tf.gather(whole, rows.index), columns.index, axis=1)
