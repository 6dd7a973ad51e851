"""Images as applications have them, made ready to send: encoded bytes as they are, or RGB pixels."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

import numpy as np
import numpy.typing as npt

from ..errors import InvalidInput, MessageTooLarge
from ..limits import check_size
from . import exif as _exif
from . import pillow as _pillow

if TYPE_CHECKING:
    import PIL.Image

Image: TypeAlias = (
    "str | os.PathLike[str] | bytes | bytearray | memoryview | npt.NDArray[np.uint8] | PIL.Image.Image"
)
"""A path, an encoded file's bytes, uint8 [H,W,3] pixels in RGB order, or a Pillow image."""

_BYTES = (bytes, bytearray, memoryview)


@dataclass(frozen=True)
class PreparedImage:
    """An image to send: `encoded` file bytes that are upright, or `pixels` uint8 [H,W,3]; `name` for messages."""

    name: str
    encoded: bytes | None = None
    pixels: npt.NDArray[np.uint8] | None = None

    @property
    def nbytes(self) -> int:
        """Bytes that it takes on the wire."""
        return len(self.encoded) if self.encoded is not None else self.to_pixels().nbytes

    def to_pixels(self) -> npt.NDArray[np.uint8]:
        """Give the pixels, uint8 [H,W,3]; encoded bytes are decoded by Pillow.

        Raises InvalidInput when Pillow is missing or cannot decode them.
        """
        if self.pixels is not None:
            return self.pixels
        return np.asarray(self.to_pillow())

    def to_pillow(self) -> PIL.Image.Image:
        """Give the image as a Pillow image in mode RGB. Raises InvalidInput as `to_pixels` does."""
        if self.pixels is not None:
            import PIL.Image

            return PIL.Image.fromarray(self.pixels)
        assert self.encoded is not None
        return _pillow.to_rgb(_pillow.decode(self.encoded, self.name), self.name)

    def size(self) -> tuple[int, int]:
        """Give height and width; of an encoded image by Pillow, off its header. Raises InvalidInput."""
        if self.pixels is not None:
            return self.pixels.shape[0], self.pixels.shape[1]
        assert self.encoded is not None
        _pillow.require(f"{self.name} is encoded: cutting it into tiles")
        return _pillow.measure(self.encoded, self.name)

    def window_reader(self) -> Callable[[slice, slice], npt.NDArray[np.uint8]]:
        """Give a function of rows and columns that reads their pixels, uint8 [h,w,3]; threads may share it.

        An encoded image is decoded once, and held as Pillow holds it. Raises InvalidInput as `to_pixels` does.
        """
        if self.pixels is not None:
            pixels = self.pixels
            return lambda rows, columns: pixels[rows, columns]
        assert self.encoded is not None
        picture = _pillow.decode(self.encoded, self.name)
        lock = threading.Lock()

        def read(rows: slice, columns: slice) -> npt.NDArray[np.uint8]:
            with lock:
                window = picture.crop((columns.start, rows.start, columns.stop, rows.stop))
            return np.asarray(_pillow.to_rgb(window, self.name))

        return read


def list_images(images: Image | Iterable[Image]) -> tuple[list[tuple[str, Image]], bool]:
    """Name each image of one, a list, or an array uint8 [N,H,W,3]; and tell whether it was a single one.

    Raises InvalidInput for an empty list.
    """
    if isinstance(images, np.ndarray) and images.ndim != 4 and not _is_list_of_objects(images):
        return [("the image", images)], True
    if isinstance(images, (str, os.PathLike)):
        return [(os.fspath(images), images)], True
    if isinstance(images, _BYTES) or _is_pillow(images) or not isinstance(images, Iterable):
        return [("the image", images)], True
    listed = [(_name_in_list(index, image), image) for index, image in enumerate(images)]
    if not listed:
        raise InvalidInput("there are no images: the list is empty")
    return listed, False


def _is_list_of_objects(array: npt.NDArray[Any]) -> bool:
    """Tell an array of paths, as a column of a table is, from one of pixels."""
    return array.ndim == 1 and array.dtype.kind in "OU"


def _name_in_list(index: int, image: Any) -> str:
    named = f" ({os.fspath(image)})" if isinstance(image, (str, os.PathLike)) else ""
    return f"images[{index}]{named}"


def prepare(name: str, image: Any) -> PreparedImage:
    """Check one image and make it ready to send.

    An encoded image stays as it is unless EXIF turns it; then, as every Pillow image, it becomes pixels.

    Raises InvalidInput, which says what to do instead, and MessageTooLarge for a file over 2 GiB.
    """
    if isinstance(image, (str, os.PathLike)):
        image = _read(name, image)
    if isinstance(image, _BYTES):
        return _prepare_encoded(name, bytes(image))
    if isinstance(image, np.ndarray):
        return PreparedImage(name, pixels=_check_pixels(name, image))
    if _is_pillow(image):
        return PreparedImage(name, pixels=_upright_pixels(image, name))
    raise InvalidInput(
        f"{name} is a {type(image).__name__}: pass a path, the bytes of an image file, a uint8 array [H,W,3] "
        "or a Pillow image"
    )


def _read(name: str, path: str | os.PathLike[str]) -> bytes:
    try:
        check_size(os.stat(path).st_size)
        with open(path, "rb") as file:
            return file.read()
    except MessageTooLarge as error:
        raise MessageTooLarge(f"{name}: {error}") from None
    except FileNotFoundError:
        raise InvalidInput(f"{name}: there is no such file") from None
    except IsADirectoryError:
        raise InvalidInput(f"{name} is a folder: pass the images in it") from None
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{name} cannot be read: {error}") from error


def _prepare_encoded(name: str, data: bytes) -> PreparedImage:
    if not data:
        raise InvalidInput(f"{name} is empty")
    known = data.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM"))
    if not known and not (data[:4] == b"RIFF" and data[8:12] == b"WEBP"):
        raise InvalidInput(f"{name} is not a JPEG, PNG, GIF, BMP or WebP image")
    if _exif.orientation(data) == _exif.UPRIGHT:
        return PreparedImage(name, encoded=data)
    _pillow.require(f"{name} is turned by its EXIF orientation: turning it upright")
    return PreparedImage(name, pixels=_upright_pixels(_pillow.decode(data, name), name))


def _check_pixels(name: str, array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    if array.dtype != np.uint8:
        advice = ": scale to 0..255, round and use .astype(numpy.uint8)" if array.dtype.kind == "f" else ""
        raise InvalidInput(f"{name} has element type {array.dtype} and must have uint8{advice}")
    if array.ndim == 2:
        raise InvalidInput(
            f"{name} has shape {array.shape}: for a gray image repeat the channel, numpy.stack([image] * 3, axis=-1)"
        )
    if array.ndim != 3 or array.shape[2] != 3:
        advice = (
            "; drop the fourth channel, image[..., :3]" if array.ndim == 3 and array.shape[2] == 4 else ""
        )
        raise InvalidInput(f"{name} has shape {array.shape} and must have [height, width, 3], RGB{advice}")
    if 0 in array.shape:
        raise InvalidInput(f"{name} has no pixels: its shape is {array.shape}")
    return array


def _upright_pixels(image: PIL.Image.Image, name: str) -> npt.NDArray[np.uint8]:
    return np.asarray(_pillow.to_rgb(_pillow.to_upright(image, name), name))


def _is_pillow(image: object) -> TypeGuard[PIL.Image.Image]:
    module = sys.modules.get("PIL.Image")  # who has a Pillow image has imported it
    return module is not None and isinstance(image, module.Image)
