"""One picture of scenes and what the procedures make of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from slimserve.pictures.palette import colours

CELL = (152, 116)  # width and height of a scene, pixels
_GAP, _HEAD, _FOOT, _TEXT = 6, 22, 26, 13
_SWATCH = 19  # a class's colour and the space behind it
_INK, _PAPER = (32, 33, 36), (255, 255, 255)


class Row(NamedTuple):
    """A scene: its picture uint8 [H,W,3], and label maps uint8 [H,W] in the order of the columns."""

    image: NDArray[np.uint8]
    label_maps: Sequence[NDArray[np.uint8]]


def draw(file: Path, columns: Sequence[str], rows: Sequence[Row], class_names: Sequence[str]) -> None:
    """Write a PNG: a row for each scene, its picture first; below them the colours of the classes.

    The columns' names are those of the label maps. All colours are of one palette, to keep the file small.
    """
    width = _GAP + (len(columns) + 1) * (CELL[0] + _GAP)
    height = _HEAD + len(rows) * (CELL[1] + _GAP) + _FOOT
    sheet = Image.new("RGB", (width, height), _PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(_TEXT)
    for column, name in enumerate(["picture", *columns]):
        middle = _GAP + column * (CELL[0] + _GAP) + CELL[0] // 2
        pen.text((middle, _HEAD // 2), name, _INK, font, anchor="mm")
    palette = colours(np.arange(len(class_names)))
    for row, (image, label_maps) in enumerate(rows):
        top = _HEAD + row * (CELL[1] + _GAP)
        pictures = [
            Image.fromarray(image).resize(CELL, Image.Resampling.LANCZOS),
            *(
                Image.fromarray(palette[labels]).resize(CELL, Image.Resampling.NEAREST)
                for labels in label_maps
            ),
        ]
        for column, picture in enumerate(pictures):
            sheet.paste(picture, (_GAP + column * (CELL[0] + _GAP), top))
    _draw_legend(pen, font, height - _FOOT // 2, width, palette, class_names)
    sheet.quantize(256, dither=Image.Dither.NONE).save(file, optimize=True)


def _draw_legend(
    pen: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    middle: int,
    width: int,
    palette: NDArray[np.uint8],
    class_names: Sequence[str],
) -> None:
    lengths = [_SWATCH + pen.textlength(name, font) for name in class_names]
    between = (width - 2 * _GAP - sum(lengths)) / max(len(lengths) - 1, 1)
    left = float(_GAP)
    for colour, name, length in zip(palette.tolist(), class_names, lengths, strict=True):
        pen.rounded_rectangle((left, middle - 6, left + 14, middle + 6), radius=3, fill=tuple(colour))
        pen.text((left + _SWATCH, middle), name, _INK, font, anchor="lm")
        left += length + between
