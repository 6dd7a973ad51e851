"""From a seed to the demo checkpoint: random layers, and an fc8 fitted to their features of generated pictures."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from ..graph.images.preprocessing import central_crop, pad_to_grid, prepare
from ..graph.kernels.portable import VariableLayers
from ..networks.layers import Convolution
from ..networks.pages.vgg import VGG_16
from ..types import Progress, Tensor
from .constants import Constants
from .random_weights import Tensors, random_checkpoint
from .readout import best_scale, ridge
from .scenes import CLASS_NAMES, compose
from .textures import TEXTURES

SCENES, SINGLES = 65, 1
"""Pictures to fit: scenes, and single textures of each class."""
REGIONS = (4, 6)
"""Textures of a scene, fewest and most: borders are what there is to learn."""
HELD_OUT = 5
"""Scenes to find the scale of the scores with."""
BATCH = 15
STRENGTH = 0.03
"""Penalty of the ridge regression; accuracy is flat from 0.01 to 0.1."""
WINDOW_SIGMA = 1.0
"""Width of the Gaussian over fc6's window, cells."""

CELLS = VGG_16.crop // VGG_16.stride
Example = tuple[NDArray[np.float32], NDArray[np.uint8]]


class _LayersBelowFc8(VariableLayers):
    """The network up to fc7's output."""

    def conv(self, net: Tensor, convolution: Convolution) -> Tensor:
        return net if convolution.scope == "fc8" else super().conv(net, convolution)


def _window() -> NDArray[np.float32]:
    """A Gaussian over fc6's 7x7 window, mean square 1: [7,7,1,1].

    Without it a cell sees its whole window of 224 pixels alike, and the borders in a scene blur.
    """
    offset = np.arange(VGG_16.window) - VGG_16.window // 2
    line = np.exp(-0.5 * (offset / WINDOW_SIGMA) ** 2)
    window = np.outer(line, line)
    return np.asarray(window / np.sqrt(np.mean(window**2)), np.float32)[..., None, None]


def cell_areas(label_map: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Share of each class in each cell of 32x32 pixels: uint8 [H,W] to float32 [CELLS,CELLS,C].

    Pixels of the padding count for no class; H and W are above those of CELLS - 1 cells.
    """
    height, width = label_map.shape
    side = VGG_16.crop
    pixels = np.zeros((side, side, len(CLASS_NAMES)), np.float32)
    pixels[:height, :width] = np.eye(len(CLASS_NAMES), dtype=np.float32)[label_map]
    areas = pixels.reshape(CELLS, VGG_16.stride, CELLS, VGG_16.stride, -1).sum(axis=(1, 3))
    return np.asarray(areas / areas.sum(axis=-1, keepdims=True), np.float32)


def cell_scores(label_map: NDArray[np.uint8], cells: int = CELLS) -> NDArray[np.float64]:
    """Scores of each cell whose bilinear interpolation is nearest to the label map, one-hot: [cells,cells,C].

    The least-squares solution; with it, the segmentation's interpolated scores cross where the borders are. `cells`
    share the padded picture's side.
    """
    rows, columns = (np.linalg.pinv(_interpolation(side, cells)) for side in label_map.shape)
    one_hot = np.eye(len(CLASS_NAMES))[label_map]
    return np.asarray(np.einsum("ih,hwc,jw->ijc", rows, one_hot, columns, optimize=True))


def _interpolation(side: int, cells: int) -> NDArray[np.float64]:
    """What each pixel takes of each cell along one axis, [side,cells]: half-pixel centres, clamped at the ends."""
    place = np.clip((np.arange(side) + 0.5) * cells / VGG_16.crop - 0.5, 0, cells - 1)
    return np.asarray(np.maximum(0, 1 - np.abs(place[:, None] - np.arange(cells))))


def _scene(rng: np.random.Generator) -> Example:
    """A small scene, padded as for segmentation: many small ones teach more than few large ones."""
    height, width = (int(side) for side in rng.integers(VGG_16.crop - VGG_16.stride + 1, VGG_16.crop, 2))
    image, label_map = compose(rng, height, width, int(rng.integers(REGIONS[0], REGIONS[1] + 1)))
    pixels = pad_to_grid(prepare(image[None], VGG_16), VGG_16)
    return pixels[0].numpy(), label_map


def _single(rng: np.random.Generator, class_id: int) -> Example:
    """One texture, resized and cropped as for classification."""
    height, width = (int(side) for side in rng.integers(VGG_16.crop, 641, 2))
    image = TEXTURES[CLASS_NAMES[class_id]](rng, height, width)
    label_map = np.full((VGG_16.crop, VGG_16.crop), class_id, np.uint8)
    return prepare(central_crop(image[None], VGG_16), VGG_16)[0].numpy(), label_map


def _examples(rng: np.random.Generator) -> Iterator[Example]:
    """Images float32 [224,224,3] less the mean colour, padded, and their label maps uint8 [H,W]."""
    for class_id in list(range(len(CLASS_NAMES))) * SINGLES:
        yield _single(rng, class_id)
    for _ in range(SCENES + HELD_OUT):
        yield _scene(rng)


def _features(
    tensors: Tensors, examples: Iterator[Example], total: int, progress: Progress
) -> tuple[NDArray[np.float32], list[NDArray[np.uint8]]]:
    """Features float32 [n,49,4096] of fc7 in the aligned geometry, and the label maps, of `total` examples."""
    layers = _LayersBelowFc8(Constants(tensors), VGG_16.name)
    network = tf.function(
        lambda images: VGG_16.logits(images, layers, "SAME", VGG_16.stride),
        input_signature=[tf.TensorSpec([None, VGG_16.crop, VGG_16.crop, 3])],
        autograph=False,  # it reads all that is called, for seconds
    )
    features: list[NDArray[np.float32]] = []
    label_maps: list[NDArray[np.uint8]] = []
    for done in range(0, total, BATCH):
        progress("features of pictures", done / total)
        images, batch = zip(*itertools.islice(examples, BATCH), strict=True)
        features.append(network(np.stack(images)).numpy())
        label_maps.extend(batch)
    progress("features of pictures", 1)
    return np.concatenate(features).reshape(total, CELLS**2, -1), label_maps


def demo_checkpoint(seed: int, progress: Progress) -> Tensors:
    """All tensors of the demo checkpoint by full name; the same seed gives the same tensors.

    fc8 is the ridge solution for the score of each class in each cell, times the factor that makes its softmax right
    on pictures left out of the fit. Needs about 2 GB of memory.
    """
    progress("random layers", 0)
    classes = len(CLASS_NAMES)
    tensors = random_checkpoint(classes, seed)
    tensors["vgg_16/fc6/weights"] *= _window()
    progress("random layers", 1)

    examples = _examples(np.random.default_rng([seed, 1]))
    fitted = classes * SINGLES + SCENES
    features, label_maps = _features(tensors, examples, fitted + HELD_OUT, progress)
    rows = features.reshape(-1, features.shape[-1])
    split = fitted * CELLS**2

    progress("solving fc8", 0)
    scores = np.stack([cell_scores(label_map) for label_map in label_maps[:fitted]])
    readout = ridge(rows[:split], scores.reshape(-1, classes).astype(np.float32), STRENGTH)
    areas = np.stack([cell_areas(label_map) for label_map in label_maps[fitted:]])
    scale = best_scale(readout.logits(rows[split:]), areas.reshape(-1, classes))
    tensors["vgg_16/fc8/weights"][...] = scale * readout.weights
    tensors["vgg_16/fc8/biases"][...] = scale * readout.biases
    progress("solving fc8", 1)
    return tensors
