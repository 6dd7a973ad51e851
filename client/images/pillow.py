"""Pillow where it is installed: the client classifies and segments files and arrays without it."""

from __future__ import annotations

import importlib.util
import io
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import InvalidInput

if TYPE_CHECKING:
    import PIL.Image

MOST_PIXELS = 1 << 28
"""Of an encoded image: 1 GiB once it is decoded, for Pillow holds four bytes a pixel."""

_OTHERWISE = "; where other programs open it, pass its pixels, or save it as a PNG"


def is_there() -> bool:
    """Tell whether Pillow is installed."""
    return importlib.util.find_spec("PIL") is not None


def require(purpose: str) -> None:
    """Raise InvalidInput, naming what to install, when Pillow is missing."""
    if not is_there():
        raise InvalidInput(f"{purpose} needs Pillow: pip install '.[images]' in the clone")


def measure(data: bytes, name: str) -> tuple[int, int]:
    """Read height and width off an encoded image's header. Raises InvalidInput."""
    with _open(data, name) as image:
        return image.height, image.width


def decode(data: bytes, name: str, factor: int = 1) -> PIL.Image.Image:
    """Decode an image, as it lies in its file and in its own mode, or smaller by a factor. Raises InvalidInput.

    A JPEG of a factor of 2, 4 or 8 is never decoded at its full size.
    """
    image = _open(data, name)
    width, height = image.size
    try:
        image.draft(None, (width // factor, height // factor))
        image.load()
        if factor > 1 and image.size == (width, height):
            image = to_rgb(image, name).reduce(factor)
    except Exception as error:  # damaged bytes lead Pillow's decoders to errors of any kind
        raise InvalidInput(f"{name} cannot be decoded: {error}{_OTHERWISE}") from error
    return image


def to_upright(image: PIL.Image.Image, name: str) -> PIL.Image.Image:
    """Turn an image as its EXIF orientation says. Raises InvalidInput."""
    from PIL import ImageOps

    if 0 in image.size:
        raise InvalidInput(f"{name} has no pixels: its size is {image.size}")
    try:
        # Two threads that read one file at a time would get half of its pixels each, and none its orientation.
        with vars(image).setdefault("_slimserve_reading", threading.Lock()):
            return ImageOps.exif_transpose(image)
    except Exception as error:  # as above: the image may be a file that has not been read yet
        raise InvalidInput(f"{name} cannot be decoded: {error}") from error


def to_rgb(image: PIL.Image.Image, name: str) -> PIL.Image.Image:
    """Convert to mode RGB; 16-bit gray keeps its high byte, as on the server. Raises InvalidInput."""
    import PIL.Image

    if image.mode in ("I", "F"):
        raise InvalidInput(
            f"{name} has Pillow mode {image.mode}, whose range is not known: convert it to 'L' or 'RGB'"
        )
    if image.mode.startswith("I;16"):
        image = PIL.Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    try:
        if image.mode == "La":  # premultiplied, which converts to what is not, and to nothing else
            image = image.convert("LA")
        return image.convert("RGB")
    except ValueError as error:  # it is closed, or of a mode that has no way to RGB
        raise InvalidInput(f"{name} has Pillow mode {image.mode} and does not become RGB: {error}") from error


def unfilter(png: bytes) -> npt.NDArray[Any]:
    """Decode a grayscale PNG that is known to be whole and sound: [H,W] of some integer type."""
    from PIL import PngImagePlugin

    image = PngImagePlugin.PngImageFile(io.BytesIO(png))
    image.load()
    return np.asarray(image)


def _open(data: bytes, name: str) -> PIL.Image.Image:
    """Read the header of an image.

    By the format's own reader: `PIL.Image.open` holds every image to Pillow's one limit, which belongs to the
    application and may not be moved here.
    """
    require(f"decoding {name}")
    try:
        image = _read_header(data)
    except Exception as error:  # as in decode()
        raise InvalidInput(f"{name} cannot be decoded: {error}{_OTHERWISE}") from error
    if image.width * image.height > MOST_PIXELS:
        raise InvalidInput(
            f"{name} has {image.width}x{image.height} pixels and is not decoded, for it may have "
            f"{MOST_PIXELS} at most: pass its pixels, a uint8 array [H,W,3], such as a memory-mapped one"
        )
    return image


def _read_header(data: bytes) -> PIL.Image.Image:
    from PIL import BmpImagePlugin, GifImagePlugin, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

    file = io.BytesIO(data)
    if data.startswith(b"\xff\xd8\xff"):
        return JpegImagePlugin.jpeg_factory(file)
    if data.startswith(b"\x89PNG"):
        return PngImagePlugin.PngImageFile(file)
    if data.startswith(b"GIF8"):
        return GifImagePlugin.GifImageFile(file)
    if data.startswith(b"BM"):
        return BmpImagePlugin.BmpImageFile(file)
    return WebPImagePlugin.WebPImageFile(file)
