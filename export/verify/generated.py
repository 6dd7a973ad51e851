"""Images that every export is compared on: generated, so that each export meets the same, and small."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from ..plan.plan import Plan
from ..types import Array

_WHOLE = (250, 270)  # height and width in pixels; no multiples of the stride
_SMALL = ((40, 72), (72, 56))


@dataclass(frozen=True)
class Generated:
    """The images of one export, within its bounds; uint8 [H, W, 3].

    Attributes:
        photos: two of one size, to be classified, and the first to be segmented where `segmented` is.
        segmented: whether the network's window fits into the first.
        small: two of one size and one of another, to be segmented; none where the network cannot.
        together: how many may be sent in a request.
    """

    photos: tuple[Array, Array]
    segmented: bool
    small: tuple[Array, ...]
    together: int

    @classmethod
    def of(cls, plan: Plan) -> Generated:
        """The images for an export as planned."""
        network, options = plan.network, plan.options
        largest = math.isqrt(options.max_pixels)
        least = network.least_side if options.geometry == "valid" else 1

        def size(height: int, width: int) -> tuple[int, int]:
            height, width = max(height, least), max(width, least)
            fits = height * width <= options.max_pixels and min(height, width) >= 32
            return (height, width) if fits else (largest, largest)

        photo = size(*_WHOLE)
        small = [size(*_SMALL[index]) for index in (0, 0, 1)] if network.segments else []
        counted = max(math.prod(side + -side % 32 for side in photo), network.crop**2)
        together = 2 if options.max_images > 1 and 2 * counted <= options.max_request_pixels else 1
        return cls(
            photos=(image(*photo, 0), image(*photo, 1)),
            segmented=network.segments and min(photo) >= network.least_side,
            small=tuple(image(*sides, seed) for seed, sides in enumerate(small, 2)),
            together=together,
        )


def image(height: int, width: int, seed: int) -> Array:
    """Coarse coloured blobs under fine noise, uint8 [H, W, 3]: both large and small activations."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 32 + 1, width // 32 + 1, 3))
    blobs = np.kron(coarse, np.ones((32, 32, 1)))[:height, :width]
    return np.clip(blobs + rng.normal(0, 24, blobs.shape), 0, 255).astype(np.uint8)


def png(pixels: Array) -> bytes:
    """The same image as a PNG file."""
    encoded: bytes = tf.io.encode_png(pixels).numpy()
    return encoded


def example(encoded: bytes) -> bytes:
    """An encoded image in a tf.Example."""
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[encoded]))
    features = tf.train.Features(feature={"image/encoded": feature})
    serialized: bytes = tf.train.Example(features=features).SerializeToString()
    return serialized
