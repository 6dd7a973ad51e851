"""An image that the model refuses as it is, made into one that it takes: in pixels, or smaller."""

from __future__ import annotations

import logging
import math
import re

import numpy as np

from . import pillow as _pillow
from .given import PreparedImage

_log = logging.getLogger("slimserve")
# What an export takes at most unless it is told otherwise. A larger photo is shrunk before it is sent.
_USUAL_LIMIT = 2048 * 2048
# Pixels of a shrunk image's shorter side: twice what the server resizes it to at most (slim's Inception, 299 / 0.875),
# so that what is left has all the detail that the crop has.
_LEAST_SIDE = 684
_LARGEST_FACTOR = 8  # the JPEG decoder's
_SMALL_FILE = 200_000  # bytes of a file that is not opened to look for its size: no large photo is so small


def pixel_limit(refusal: str) -> int | None:
    """Find how many pixels an exported model takes, where it has refused an image for its size; None elsewhere."""
    limit = re.search(r"takes at most (\d{1,15}) pixels", refusal)
    return int(limit[1]) if limit else None


def decoded(image: PreparedImage, refusal: str) -> PreparedImage | None:
    """Decode an encoded image of a kind that the model has said it does not read; None where that does not help."""
    if image.encoded is None or "a kind that is not read" not in refusal or not _pillow.is_there():
        return None
    try:
        pixels = image.to_pixels()
    except ValueError:  # Pillow does not read it either: the server's words name its kind
        return None
    _log.info("%s is sent as pixels: the model does not read its kind of file", image.name)
    return image._replace(encoded=None, pixels=pixels)


def shrunk(image: PreparedImage, limit: int = _USUAL_LIMIT) -> PreparedImage:
    """Give an image of more than `limit` pixels by a whole number smaller, for a model that classifies a crop of it.

    A JPEG is decoded at that size (Pillow's draft mode), others are averaged. An image that would lose detail of its
    crop, or that is within the limit, stays as it is; so does one that only Pillow could read where it is missing.
    """
    if image.original_size or _is_small(image, limit) or not _pillow.is_there():
        return image
    try:
        height, width = image.size()
    except ValueError:  # damaged: the server says so
        return image
    factor = _factor(height, width, limit)
    if factor == 1:
        return image
    if image.encoded is None:
        smaller = image.to_pillow().reduce(factor)
    else:
        smaller = _pillow.decode(image.encoded, image.name, factor)
    _log.info(
        "%s is sent as %dx%d pixels, not %dx%d: more than a crop of it is not classified",
        image.name, smaller.width, smaller.height, width, height,
    )  # fmt: skip
    pixels = np.asarray(_pillow.to_rgb(smaller, image.name))
    return image._replace(encoded=None, pixels=pixels, original_size=(height, width))


def _is_small(image: PreparedImage, limit: int) -> bool:
    """Tell, without Pillow, whether an image is within the limit."""
    if image.encoded is not None:
        return len(image.encoded) < _SMALL_FILE and limit >= _USUAL_LIMIT
    height, width = image.size()
    return height * width <= limit


def _factor(height: int, width: int, limit: int) -> int:
    """The largest power of two that leaves the crop its detail, where the image is over the limit; else 1."""
    if height * width <= limit:
        return 1
    factors = [2**power for power in range(int(math.log2(_LARGEST_FACTOR)) + 1)]
    fitting = [
        factor
        for factor in factors
        if min(height, width) // factor >= _LEAST_SIDE and -(-height // factor) * -(-width // factor) <= limit
    ]
    return max(fitting, default=1)
