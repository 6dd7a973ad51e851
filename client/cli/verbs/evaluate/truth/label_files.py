"""True label maps from files: PNG whose pixel values are class ids."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..... import InvalidInput
from .....images import pillow

_GRAY, _DEPTH_AT, _KIND_AT = 0, 24, 25  # PNG specification, third edition, section 11.2.1


def read_label_file(path: Path, size: tuple[int, int]) -> npt.NDArray[Any]:
    """Read a true label map as `read_labels` does; `size` is the image's, (H, W). Refuses another size, too."""
    labels = read_labels(path)
    if labels.shape != size:
        raise InvalidInput(
            f"{path} is {labels.shape[1]}x{labels.shape[0]} pixels and its image {size[1]}x{size[0]}, as it is shown: "
            "a label map has the size of its image"
        )
    return labels


def read_labels(path: Path) -> npt.NDArray[Any]:
    """Read class ids, uint8 or uint16 [H,W], of a palette or grayscale PNG.

    Raises InvalidInput for colours, and for what cannot be decoded.
    """
    data = path.read_bytes()
    if not data.startswith(b"\x89PNG\r\n\x1a\n") or len(data) <= _KIND_AT:
        raise InvalidInput(f"{path} is no PNG: a label map is one, for other kinds change its values")
    image = pillow.decode(data, str(path))
    if image.mode not in ("P", "L", "1", "I;16", "I;16B", "I"):
        raise InvalidInput(
            f"{path} holds colours (mode {image.mode}), not class ids: save it as a palette or grayscale PNG"
        )
    labels = np.asarray(image)
    if image.mode in ("I;16", "I;16B", "I"):
        labels = labels.astype(np.uint16)
    depth = data[_DEPTH_AT]
    if image.mode == "L" and data[_KIND_AT] == _GRAY and depth < 8:
        labels = labels // (255 // (2**depth - 1))  # Pillow spreads the values of few bits up to 255
    if image.mode == "1":
        labels = labels.astype(np.uint8)
    return labels
