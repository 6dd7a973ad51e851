"""Pictures small enough to stand in a page: JPEG files as data URIs."""

from __future__ import annotations

import base64
import io
import math
from pathlib import Path
from typing import NamedTuple

import PIL.Image

from ... import InvalidInput
from ...images.given import prepare

_PAGE_BYTES = 48 << 20  # of all pictures of a page, before base64 makes four bytes of three
_LEAST_BYTES, _MOST_BYTES = 6 << 10, 160 << 10  # of a picture
_LARGEST_SIDE = 960  # pixels
_QUALITY = 85


class Pair(NamedTuple):
    """An image and its regions, drawn at one size, as data URIs."""

    width: int
    height: int
    image: str
    regions: str


def picture_bytes(images: int) -> int:
    """Decide how many bytes each picture may take in a page about so many images."""
    return min(max(_PAGE_BYTES // (2 * images), _LEAST_BYTES), _MOST_BYTES)


def draw_pair(image: Path, overlay: Path, size: tuple[int, int], most_bytes: int) -> Pair:
    """Shrink an image and its overlay, whose legend is cut off; `size` is height and width of the image.

    Raises InvalidInput when either cannot be read, or the image is not of that size any more.
    """
    height, width = size
    picture = prepare(str(image), image).to_pillow()
    drawn = prepare(str(overlay), overlay).to_pillow().crop((0, 0, width, height))
    if picture.size != drawn.size:
        raise InvalidInput(f"{image} has changed: it is {picture.width}x{picture.height} pixels now")
    return make_pair(picture, drawn, most_bytes)


def make_pair(picture: PIL.Image.Image, drawn: PIL.Image.Image, most_bytes: int) -> Pair:
    """Shrink two pictures of one size."""
    width, height = picture.size
    # A picture of this kind takes about a quarter of a byte for each pixel.
    side = min(_LARGEST_SIDE, math.isqrt(4 * most_bytes), max(width, height))
    first, second = _encode(picture, side, most_bytes), _encode(drawn, side, most_bytes)
    scale = min(1.0, side / max(width, height))
    return Pair(max(round(width * scale), 1), max(round(height * scale), 1), first, second)


def shrink(picture: PIL.Image.Image, most_bytes: int) -> str:
    """Encode one picture as a data URI, small enough."""
    return _encode(picture, min(_LARGEST_SIDE, math.isqrt(4 * most_bytes)), most_bytes)


def _encode(picture: PIL.Image.Image, side: int, most_bytes: int) -> str:
    """Encode a picture as a data URI, as much smaller than `side` as it takes."""
    while True:
        small = picture.copy() if max(picture.size) <= side else _shrink(picture, side)
        file = io.BytesIO()
        small.save(file, "JPEG", quality=_QUALITY, optimize=True)
        if file.tell() <= most_bytes or side <= 32:
            return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
        side = side * 4 // 5


def _shrink(picture: PIL.Image.Image, side: int) -> PIL.Image.Image:
    scale = side / max(picture.size)
    size = (max(round(picture.width * scale), 1), max(round(picture.height * scale), 1))
    return picture.resize(size, PIL.Image.Resampling.LANCZOS, reducing_gap=3.0)
