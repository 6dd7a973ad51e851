"""From coarse logits to a label map at the image's size, exact, without all full-size scores at once.

A score inside the patch between four neighbouring cells is a convex combination of theirs. So a class whose
largest corner lies below the largest of all classes' smallest corners cannot win anywhere in that patch, and a
class that can win in no patch of a band of rows is left out there. What remains is interpolated a few rows at a time.
"""

from __future__ import annotations

import tensorflow as tf

from export.interpolation import Interpolation, interpolation, lerp
from export.networks.network import Tensor

_SCORES_AT_ONCE = 8 * 2**20  # float32 values of a strip: 32 MB
# Rounding may lift an interpolated score this far, relative to the scores, above its corners.
_ROUNDING = 1e-5


def label_dtype(classes: int) -> tf.DType:
    """The dtype of label maps: uint8 up to 256 classes, else uint16."""
    return tf.uint8 if classes <= 256 else tf.uint16


def coarse_labels(logits: Tensor) -> Tensor:
    """The class with the largest logit of each cell, the first of equals: [..., h, w, C] to [..., h, w]."""
    return tf.cast(tf.argmax(logits, axis=-1, output_type=tf.int32), label_dtype(logits.shape[-1]))


def nearest_label_map(logits: Tensor, full_size: Tensor, size: Tensor) -> Tensor:
    """Argmax of float32 [h, w, C], each cell stretched to `full_size` by the nearest rule, cut to `size` [H, W]."""
    rows, columns = (_nearest(axis, logits, full_size, size) for axis in (0, 1))
    return tf.gather(tf.gather(coarse_labels(logits), rows), columns, axis=1)


def _nearest(axis: int, logits: Tensor, full_size: Tensor, size: Tensor) -> Tensor:
    cells = tf.shape(logits)[axis]
    centres = (tf.cast(tf.range(size[axis]), tf.float32) + 0.5) * _scale(cells, full_size[axis])
    return tf.minimum(tf.cast(tf.floor(centres), tf.int32), cells - 1)


def _scale(cells: Tensor, pixels: Tensor) -> Tensor:
    return tf.cast(cells, tf.float32) / tf.cast(pixels, tf.float32)


def bilinear_label_map(logits: Tensor, full_size: Tensor, size: Tensor) -> Tensor:
    """Label map of bilinearly interpolated logits: what `tf.image.resize` and argmax give.

    Args:
        logits: float32 [h, w, C].
        full_size: int32 [2], the pixels that the cells stand for, padding included.
        size: int32 [2], the image's height and width, at most `full_size`.

    Returns:
        uint8 or uint16 [H, W]; of equal scores the first class wins.
    """
    classes = logits.shape[-1]
    cells = tf.shape(logits)
    rows, columns = (
        interpolation(
            tf.range(size[axis]), _scale(cells[axis], full_size[axis]), cells[axis], half_pixel_centers=True
        )
        for axis in (0, 1)
    )

    def strip(start: Tensor, strips: tf.TensorArray) -> tuple[Tensor, tf.TensorArray]:
        band = tf.gather(logits, [rows.lower[start], rows.upper[start]])
        kept = _classes_that_can_win(band)
        height = tf.maximum(_SCORES_AT_ONCE // tf.maximum(size[1] * tf.size(kept), 1), 1)
        end = tf.minimum(start + height, _band_end(rows, start))
        labels = _strip_labels(tf.gather(band, kept, axis=2), rows.share[start:end], columns)
        labels = tf.cast(tf.gather(kept, labels), label_dtype(classes))
        return end, strips.write(strips.size(), labels)

    strips = tf.TensorArray(
        label_dtype(classes), 0, dynamic_size=True, infer_shape=False, element_shape=[None, None]
    )
    _, strips = tf.while_loop(
        lambda start, _: start < size[0], strip, (tf.constant(0), strips), parallel_iterations=1
    )
    return strips.concat()


def _band_end(rows: Interpolation, start: Tensor) -> Tensor:
    """Behind the last row that lies between the same two rows of cells as `start`."""
    same = tf.equal(rows.lower[start:], rows.lower[start]) & tf.equal(rows.upper[start:], rows.upper[start])
    return start + tf.math.count_nonzero(same, dtype=tf.int32)


def _classes_that_can_win(band: Tensor) -> Tensor:
    """Classes, ascending, that may win somewhere between two rows of cells [2, w, C]."""
    highest = tf.reduce_max(band, axis=0)
    highest = tf.maximum(highest, _right_neighbour(highest))
    lowest = tf.reduce_min(band, axis=0)
    lowest = tf.minimum(lowest, _right_neighbour(lowest))
    bar = tf.reduce_max(lowest, axis=1, keepdims=True) - _ROUNDING * tf.reduce_max(tf.abs(band))
    return tf.cast(tf.where(tf.reduce_any(highest >= bar, axis=0))[:, 0], tf.int32)


def _right_neighbour(row: Tensor) -> Tensor:
    """Each cell's neighbour to the right; the last cell's is itself."""
    return tf.concat([row[1:], row[-1:]], axis=0)


def _strip_labels(band: Tensor, share: Tensor, columns: Interpolation) -> Tensor:
    """Index of the largest interpolated score: band [2, w, K], share [R] of the lower row, to int32 [R, W]."""
    across = lerp(
        tf.gather(band, columns.lower, axis=1), tf.gather(band, columns.upper, axis=1), columns.share[:, None]
    )
    scores = lerp(across[0], across[1], share[:, None, None])
    return tf.argmax(scores, axis=-1, output_type=tf.int32)
