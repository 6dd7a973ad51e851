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
# Pixels of a shrunk image's shorter side: what the server resizes it to at most (slim's Inception, 299 / 0.875), and
# twice that, so that what is left has all the detail that the crop has.
_LEAST_SIDE, _WANTED_SIDE = 342, 684
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


def shrunk(image: PreparedImage, limit: int | None = None) -> PreparedImage:
    """Give an image of too many pixels by a whole number smaller, for a model that classifies a crop of it.

    A JPEG is decoded at that size (Pillow's draft mode), others are averaged. An image stays as it is if it is within
    the limit, if it would become smaller than what is classified, and if only Pillow could read it and is missing.

    Args:
        image: what was given.
        limit: the most pixels that the model takes, by its own words. None before it was asked: the usual limit, and
            a small file is not opened to look for its size.
    """
    small = limit is None and image.encoded is not None and len(image.encoded) < _SMALL_FILE
    if small or image.original_size:
        return image
    try:
        height, width = image.size()
    except ValueError:  # Pillow is missing, or the image is damaged, which the server says
        return image
    factor = _factor(height, width, _USUAL_LIMIT if limit is None else limit)
    if factor == 1 or not _pillow.is_there():
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


def _factor(height: int, width: int, limit: int) -> int:
    """The largest power of two that leaves the crop its detail, where the image is over the limit; else 1.

    Of an image so long that none does, such as a panorama, the smallest that keeps it within the limit.
    """
    if height * width <= limit:
        return 1
    sides = {
        min(height, width) // factor: factor
        for factor in (2**power for power in range(int(math.log2(_LARGEST_FACTOR)) + 1))
        if -(-height // factor) * -(-width // factor) <= limit
    }
    wanted = [factor for side, factor in sides.items() if side >= _WANTED_SIDE]
    least = [factor for side, factor in sides.items() if side >= _LEAST_SIDE]
    return max(wanted) if wanted else min(least, default=1)
