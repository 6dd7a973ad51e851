"""What slim does to images before it evaluates a network, in NumPy: vgg_preprocessing.py, inception_preprocessing.py.

Bilinear resizing is that of TensorFlow 1: a pixel is sampled at its upper left corner.
"""

from __future__ import annotations

import numpy as np
from slimserve.export.networks import Network

MEAN_RGB = np.array([123.68, 116.78, 103.94], np.float32)


def is_inception(network: Network) -> bool:
    """Whether slim evaluates the network with inception_preprocessing.py, unless it is told otherwise."""
    return network.name.startswith(("inception", "mobilenet", "deeplab", "nasnet", "pnasnet"))


def resized(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """float32 [H, W, 3] to [height, width, 3]."""
    for axis, side in enumerate((height, width)):
        place = np.arange(side, dtype=np.float32) * (np.float32(image.shape[axis]) / np.float32(side))
        lower = np.minimum(place.astype(int), image.shape[axis] - 1)
        upper = np.minimum(lower + 1, image.shape[axis] - 1)
        share = (place - np.floor(place)).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        first, second = image.take(lower, axis), image.take(upper, axis)
        image = first + (second - first) * share
    return image


def vgg_crop(image: np.ndarray, side: int) -> np.ndarray:
    """The shorter side to 256, then the centre."""
    scale = 256 / min(image.shape[:2])
    height, width = (int(np.rint(size * scale)) for size in image.shape[:2])
    whole = resized(image.astype(np.float32), height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return whole[top : top + side, left : left + side] - MEAN_RGB


def inception_crop(image: np.ndarray, side: int) -> np.ndarray:
    """Seven eighths of both sides, then a resize that ignores the shape."""
    top, left = (int((size - size * 0.875) / 2) for size in image.shape[:2])
    pixels = image[top : image.shape[0] - top, left : image.shape[1] - left].astype(np.float32) / np.float32(
        255
    )
    return np.asarray((resized(pixels, side, side) - np.float32(0.5)) * 2, np.float32)


def central_crop(image: np.ndarray, network: Network) -> np.ndarray:
    """What slim classifies of uint8 [H, W, 3], float32."""
    return (inception_crop if is_inception(network) else vgg_crop)(image, network.crop)


def padded(image: np.ndarray, network: Network) -> np.ndarray:
    """The whole image, prepared and padded with the mean colour to what the aligned geometry makes of it."""
    pixels = image.astype(np.float32)
    pixels = pixels / np.float32(127.5) - 1 if is_inception(network) else pixels - MEAN_RGB
    before, behind = network.border
    sides = [(before, behind + network.padding(side)) for side in image.shape[:2]]
    return np.asarray(np.pad(pixels, [*sides, (0, 0)]), np.float32)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities of the last axis."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True))


def untouched_side(network: Network) -> int:
    """Side of a square image whose central crop the network takes without resizing it."""
    preprocessing, crop = network.preprocessing, network.crop
    if preprocessing.resize_side is not None:
        return preprocessing.resize_side
    fraction = preprocessing.central_fraction
    return next(side for side in range(crop, 2 * crop) if side - 2 * int(side * (1 - fraction) / 2) == crop)
