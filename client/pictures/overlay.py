"""A picture of a label map: regions in colour over the image, their outlines, a legend with the areas. Uses Pillow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image
from PIL import ImageEnhance

from ..errors import ServerError
from .legend import Legend
from .palette import colours
from .shares import Share

_PAPER = (255, 255, 255)
_OUTLINE = (255, 255, 255)
_OUTLINE_OPACITY = 217  # of 255
_SATURATION = 0.35


def draw_labels(label_map: npt.NDArray[Any]) -> PIL.Image.Image:
    """Draw [H,W] class ids as a palette image whose indices are the ids, or as 16-bit gray where an id is over 255."""
    if label_map.max() > 255:
        return PIL.Image.fromarray(label_map.astype(np.uint16))
    image = PIL.Image.fromarray(label_map.astype(np.uint8))
    image.putpalette(colours(np.arange(256)).tobytes())
    return image


def draw_overlay(
    picture: PIL.Image.Image, label_map: npt.NDArray[Any], areas: Sequence[Share], opacity: float
) -> PIL.Image.Image:
    """Draw [H,W] class ids over an RGB picture of that size, with a legend of `areas` if there are any.

    Raises ServerError when the sizes differ.
    """
    width, height = picture.size
    if label_map.shape != (height, width):
        raise ServerError(
            f"the label map is {label_map.shape[1]}x{label_map.shape[0]}, the image {width}x{height}"
        )
    # A class reads by its hue, so the picture under it gives up most of its own.
    muted = ImageEnhance.Color(picture).enhance(_SATURATION)
    regions = PIL.Image.fromarray(colours(np.arange(int(label_map.max()) + 1))[label_map])
    coloured = PIL.Image.blend(muted, regions, opacity)
    coloured.paste(_OUTLINE, mask=_outlines(label_map))
    if not areas:
        return coloured
    beside = width <= 1.25 * height
    legend = Legend(areas, text_size=min(width, height) / 30, width=None if beside else width)
    if beside:
        canvas = PIL.Image.new("RGB", (width + legend.width, max(height, legend.height)), _PAPER)
        corner = (width, 0)
    else:
        canvas = PIL.Image.new("RGB", (max(width, legend.width), height + legend.height), _PAPER)
        corner = (0, height)
    canvas.paste(coloured, (0, 0))
    legend.draw(canvas, corner)
    return canvas


def _outlines(label_map: npt.NDArray[Any]) -> PIL.Image.Image:
    """Mark the pixels along the borders between regions, as thick as the picture is large."""
    border = np.zeros(label_map.shape, np.bool_)
    border[:, 1:] |= label_map[:, 1:] != label_map[:, :-1]
    border[1:] |= label_map[1:] != label_map[:-1]
    reach = round(min(label_map.shape) / 300) // 2
    thick = _widen(_widen(border, reach).T, reach).T
    return PIL.Image.fromarray(thick * np.uint8(_OUTLINE_OPACITY))


def _widen(marks: npt.NDArray[np.bool_], reach: int) -> npt.NDArray[np.bool_]:
    """Mark what lies up to `reach` rows from a mark: in steps that double, as a filter of that size would take long."""
    for toward in (slice(None), slice(None, None, -1)):
        wide, reached = marks[toward].copy(), 0
        while reached < reach:
            step = min(reached + 1, reach - reached)
            wide[step:] |= wide[:-step].copy()
            reached += step
        marks = marks | wide[toward]
    return marks
