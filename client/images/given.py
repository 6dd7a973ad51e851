"""Images as applications have them, made ready to send: encoded bytes as they are, or RGB pixels."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable, KeysView, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias, TypeGuard

import numpy as np
import numpy.typing as npt

from ..errors import InvalidInput
from . import kinds as _kinds
from . import pillow as _pillow
from .orientation import UPRIGHT, orientation
from .reading import BYTES, as_bytes, read_file, read_inside, read_open

if TYPE_CHECKING:
    import PIL.Image

Image: TypeAlias = (
    "str | os.PathLike[str] | bytes | bytearray | memoryview | SupportsRead | npt.NDArray[np.uint8] | SupportsArray "
    "| PIL.Image.Image"
)
"""A path, an encoded file's bytes or an open file of them, uint8 [H,W,3] pixels in RGB order, or a Pillow image."""

_ABOUT_DTYPES = {  # by numpy.dtype.kind
    "f": ": scale to 0..255, round and use .astype(numpy.uint8)",
    "u": ": scale to 0..255 and use .astype(numpy.uint8)",
    "i": ": where its values are 0..255, use .astype(numpy.uint8)",
    "b": ": multiply by 255, image * numpy.uint8(255)",
    "O": ": make one by numpy.array(image.tolist(), numpy.uint8)",
}


class SupportsRead(Protocol):
    """A file opened for reading bytes."""

    def read(self) -> bytes:
        """Give what is left in it."""


class SupportsArray(Protocol):
    """An array of another library, such as PyTorch's."""

    def __array__(self) -> npt.NDArray[Any]:
        """Give it as numpy's."""


class PreparedImage(NamedTuple):
    """An image to send: `encoded` file bytes that are upright, or `pixels` uint8 [H,W,3]; `name` for messages.

    `original_size` is the height and width that it had before it was shrunk, None where it was not.
    """

    name: str
    encoded: bytes | None = None
    pixels: npt.NDArray[np.uint8] | None = None
    original_size: tuple[int, int] | None = None

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


def list_images(images: Any) -> tuple[Iterable[tuple[str, Any]], bool]:
    """Name each image of one, a list, or an array uint8 [N,H,W,3]; and tell whether it was a single one.

    A list gives a list; an iterator gives an iterator, which reads an image when it is asked for it.
    """
    images = _as_array(images)
    if isinstance(images, np.ndarray) and images.ndim != 4 and not _is_list_of_objects(images):
        return [("the image", images)], True
    if isinstance(images, (str, os.PathLike)):
        return [(_shown_path(images), images)], True
    is_one = isinstance(images, BYTES) or hasattr(images, "read") or _is_pillow(images)
    if is_one or isinstance(images, Mapping) or not isinstance(images, Iterable):
        return [("the image", images)], True
    if isinstance(getattr(images, "content", None), bytes):
        raise InvalidInput(f"the image is a {type(images).__name__}: pass the bytes in it, its content")
    if isinstance(images, Set) and not isinstance(images, KeysView):  # answers could not be told apart
        raise InvalidInput("the images are a set, which has no order: pass a list")
    named = ((name_in_list(index, image), image) for index, image in enumerate(images))
    return (list(named) if isinstance(images, (Sequence, np.ndarray)) else named), False


def _is_list_of_objects(array: npt.NDArray[Any]) -> bool:
    """Tell an array of paths, as a column of a table is, from one of pixels."""
    return array.ndim == 1 and array.dtype.kind in "OUT"  # T: numpy's strings of any length


def name_in_list(index: int, image: Any) -> str:
    """Name an image by its place and its path."""
    named = f" ({_shown_path(image)})" if isinstance(image, (str, os.PathLike)) else ""
    return f"images[{index}]{named}"


def _shown_path(path: str | os.PathLike[str]) -> str:
    return _kinds.shown(os.fsdecode(os.fspath(path))) or "the path ''"


def prepare(name: str, image: Any) -> PreparedImage:
    """Check one image and make it ready to send.

    It is sent upright, whatever it is given as: see `images.orientation`. An encoded image that lies as it is shown
    stays as it is; one that does not becomes pixels, as every Pillow image does.

    Raises InvalidInput, which says what to do instead, and MessageTooLarge for a file over 2 GiB.
    """
    if isinstance(image, (str, os.PathLike)):
        image = read_file(name, image)
    elif hasattr(image, "read"):
        image = read_open(name, image)
    elif hasattr(image, "read_bytes"):  # a path inside an archive, as importlib.resources gives it
        image = read_inside(name, image)
    image = _as_array(image)
    if isinstance(image, np.ndarray) and _is_encoded(image):
        image = image.tobytes()
    if isinstance(image, BYTES):
        return _prepare_encoded(name, as_bytes(name, image))
    if isinstance(image, np.ndarray):
        return PreparedImage(name, pixels=_check_pixels(name, image))
    if _is_pillow(image):
        return PreparedImage(name, pixels=_upright_pixels(image, name))
    nested = (
        "; of lists of numbers make one by numpy.array(image, numpy.uint8)" if isinstance(image, list) else ""
    )
    raise InvalidInput(
        f"{name} is a {type(image).__name__}: pass a path, the bytes of an image file, an open file, a uint8 array "
        f"[H,W,3] or a Pillow image{nested}"
    )


def _as_array(image: Any) -> Any:
    """Give another library's array as numpy's, and other bytes in memory as a memoryview; anything else as it is."""
    if isinstance(image, (np.ndarray, str, *BYTES)) or _is_pillow(image):
        return image
    if not (hasattr(image, "__array__") or hasattr(image, "__array_interface__")):
        return image if hasattr(image, "read") else _as_bytes(image)
    try:
        return np.asarray(image)
    except Exception as error:  # such as PyTorch's for a tensor on a GPU
        raise InvalidInput(f"the {type(image).__name__} does not become an array: {error}") from error


def _as_bytes(image: Any) -> Any:
    """Give what holds single bytes in a row, such as an array.array("B"), as a memoryview; anything else as it is."""
    try:
        view = memoryview(image)
    except TypeError:
        return image
    return view.cast("B") if view.itemsize == 1 and view.ndim == 1 and view.c_contiguous else image


def _is_encoded(array: npt.NDArray[Any]) -> bool:
    """Tell the bytes of an image file, as cv2.imencode returns them, from pixels."""
    return (
        array.dtype == np.uint8
        and array.size == max(array.shape, default=0)
        and _kinds.is_read(array.ravel()[:64].tobytes())
    )


def _prepare_encoded(name: str, data: bytes) -> PreparedImage:
    if not data:
        raise InvalidInput(f"{name} is empty")
    if not _kinds.is_read(data):
        raise InvalidInput(f"{name} {_kinds.name_other(data)}")
    if orientation(data) == UPRIGHT:
        return PreparedImage(name, encoded=data)
    _pillow.require(f"{name} is turned by its EXIF orientation: turning it upright")
    return PreparedImage(name, pixels=_upright_pixels(_pillow.decode(data, name), name))


def _check_pixels(name: str, array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    if array.dtype != np.uint8:
        advice = _ABOUT_DTYPES.get(array.dtype.kind, "")
        raise InvalidInput(f"{name} has element type {array.dtype} and must have uint8{advice}")
    if array.ndim == 2:
        raise InvalidInput(
            f"{name} has shape {array.shape}: for a gray image repeat the channel, numpy.stack([image] * 3, axis=-1)"
        )
    if array.ndim != 3 or array.shape[2] != 3:
        advice = ""
        if array.ndim == 3 and array.shape[2] == 4:
            advice = "; drop the fourth channel, image[..., :3]"
        elif array.ndim == 3 and array.shape[2] == 1:
            advice = "; repeat the gray channel, numpy.repeat(image, 3, axis=-1)"
        elif array.ndim == 3 and array.shape[0] == 3:
            advice = "; move the channels behind, image.transpose(1, 2, 0)"
        raise InvalidInput(f"{name} has shape {array.shape} and must have [height, width, 3], RGB{advice}")
    if np.any(getattr(array, "mask", False)):
        raise InvalidInput(
            f"{name} is a masked array: say what stands for the masked pixels, image.filled(0)"
        )
    if 0 in array.shape:
        raise InvalidInput(f"{name} has no pixels: its shape is {array.shape}")
    return array


def _upright_pixels(image: PIL.Image.Image, name: str) -> npt.NDArray[np.uint8]:
    return np.asarray(_pillow.to_rgb(_pillow.to_upright(image, name), name))


def _is_pillow(image: object) -> TypeGuard[PIL.Image.Image]:
    # Who has a Pillow image has imported it; another thread may be importing it now.
    kind = getattr(sys.modules.get("PIL.Image"), "Image", None)
    return kind is not None and isinstance(image, kind)
