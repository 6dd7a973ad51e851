"""What stands around a network, in NumPy: what an export's answers must be, given the network's scores.

Nothing here is shared with what builds the graph but the facts about the network: mean, crop, stride, centre.
Bilinear resizing is that of TensorFlow 1: a pixel is sampled at its upper left corner.
"""

from __future__ import annotations

import numpy as np

from ...networks import Network
from ...plan.options import GraphOptions
from ...types import Array, Geometry

Axes = tuple[Array, Array]  # where rows and columns of an image lie on the grid of cells, float64


def prepared(image: Array, network: Network) -> Array:
    """The pixels as the network takes them, float32 [H, W, 3]."""
    mean = np.array(network.preprocessing.mean_rgb, np.float32)
    return np.asarray((image.astype(np.float32) - mean) / np.float32(network.preprocessing.scale))


def crop(image: Array, network: Network) -> Array:
    """The central crop of uint8 [H, W, 3] as slim evaluates the network, prepared: float32 [crop, crop, 3]."""
    side, preprocessing = network.crop, network.preprocessing
    height, width = image.shape[:2]
    if preprocessing.resize_side is None:
        top, left = (int(size * (1 - preprocessing.central_fraction) / 2) for size in (height, width))
        return prepared(_resized(image[top : height - top, left : width - left], side, side), network)
    scale = np.float32(preprocessing.resize_side) / np.float32(min(height, width))
    rows, columns = (int(np.rint(np.float32(size) * scale)) for size in (height, width))
    top, left = (rows - side) // 2, (columns - side) // 2
    return prepared(_resized(image, rows, columns, slice(top, top + side), slice(left, left + side)), network)


def _resized(
    image: Array, height: int, width: int, rows: slice = slice(None), columns: slice = slice(None)
) -> Array:
    """These rows and columns of the image resized to [height, width, 3], float32; no others are computed."""
    for axis, (side, wanted) in enumerate(((height, rows), (width, columns))):
        size = image.shape[axis]
        place = np.arange(side, dtype=np.float32)[wanted] * (np.float32(size) / np.float32(side))
        lower = np.minimum(place.astype(np.int64), size - 1)
        share = (place - np.floor(place)).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        before = image.take(lower, axis).astype(np.float32)
        behind = image.take(np.minimum(lower + 1, size - 1), axis).astype(np.float32)
        image = before + (behind - before) * share
    return image


def padded(image: Array, network: Network, geometry: Geometry) -> Array:
    """The whole image as the export's network sees it, prepared."""
    pixels = prepared(image, network)
    if geometry == "valid":
        return pixels
    before, behind = network.border
    sides = [(before, behind + network.padding(side)) for side in image.shape[:2]]
    return np.pad(pixels, [*sides, (0, 0)])


def inside(logits: Array, network: Network, geometry: Geometry, finer: int = 1) -> Array:
    """The cells [h, w, C] that padding of the last feature map does not reach; they may lie `finer` times closer."""
    if geometry == "valid":
        return logits
    outside = (network.window - 1) * finer
    before, behind = outside // 2, outside - outside // 2
    return logits[before : len(logits) - behind, before : logits.shape[1] - behind]


def dense(logits: Array, network: Network, options: GraphOptions) -> Array:
    """Scores [C] of a whole image: the mean of the cells inside, or of all where there are none."""
    cells = inside(logits, network, options.geometry, network.stride // options.output_stride)
    return np.asarray((cells if cells.size else logits).mean(axis=(0, 1), dtype=np.float64))


def places(size: tuple[int, int], cells: tuple[int, int], network: Network, options: GraphOptions) -> Axes:
    """Where the pixels of an image of `size` lie on its grid of `cells`; 0 is the first cell's centre."""
    rows, columns = (np.arange(side) + 0.5 for side in size)
    if options.geometry == "aligned":
        centre, spacing = network.centre, network.spacing(options.output_stride)
        return (rows - centre) / spacing, (columns - centre) / spacing
    return rows * cells[0] / size[0] - 0.5, columns * cells[1] / size[1] - 0.5


def pooled(logits: Array, side: int) -> Array:
    """The mean over each cell of [h, w, C] and those that exist around it, `side` x `side` of them, float64."""
    reach = side // 2
    for axis in (0, 1):
        sums = np.cumsum(logits, axis=axis, dtype=np.float64)
        sums = np.concatenate([np.zeros_like(sums.take([0], axis)), sums], axis)
        count = logits.shape[axis]
        first = np.maximum(np.arange(count) - reach, 0)
        last = np.minimum(np.arange(count) + reach + 1, count)
        cells = (last - first).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        logits = (sums.take(last, axis) - sums.take(first, axis)) / cells
    return logits


def averaged(logits: Array) -> Array:
    """Scores [h, w, C], each with its neighbours' along both axes, 1-2-1; the border's cells count twice."""
    for axis in (0, 1):
        wide = np.pad(logits, [(1, 1) if axis == each else (0, 0) for each in range(3)], "edge")
        count = logits.shape[axis]
        before, own, behind = (wide.take(np.arange(count) + shift, axis) for shift in range(3))
        logits = (before + 2 * own + behind) / 4
    return logits


def interpolated(logits: Array, row: float, columns: Array) -> Array:
    """Scores float64 [columns, C] of one row of pixels between cells [h, w, C]; beyond the border, the border's."""
    height, width = logits.shape[:2]
    row = min(max(row, 0.0), height - 1.0)
    above, below = int(row), min(int(row) + 1, height - 1)
    line = logits[above] * (1 - (row - above)) + logits[below] * (row - above)
    columns = np.clip(columns, 0, width - 1)
    left = columns.astype(np.int64)
    share = (columns - left)[:, None]
    return np.asarray(line[left] * (1 - share) + line[np.minimum(left + 1, width - 1)] * share)


def nearest(logits: Array, row: float, columns: Array) -> Array:
    """Scores [columns, C] of the cell nearest to each pixel of one row, the later one of two."""
    line = logits[int(np.clip(np.floor(row + 0.5), 0, len(logits) - 1))]
    return np.asarray(line[np.clip(np.floor(columns + 0.5), 0, len(line) - 1).astype(np.int64)])


def label_dtype(classes: int) -> type[np.unsignedinteger]:
    """The smallest of the two types of label maps."""
    return np.uint8 if classes <= 256 else np.uint16


def softmax(logits: Array) -> Array:
    """Probabilities over the last axis, float64."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    exponentials = np.exp(shifted.astype(np.float64))
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True))
