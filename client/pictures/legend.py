"""The legend of an overlay: a swatch, a name and a percentage for each class. Uses Pillow.

Pillow's own font has the letters of English. Names with others are drawn in a font of the system that has them all.
Where there is none, a letter loses its accents, and a name that is still not drawn becomes the number of its class.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from typing import TypeAlias

import PIL.Image
from PIL import ImageDraw, ImageFont

from .palette import colours
from .shares import Share, rows_of

_INK, _FAINT = (32, 33, 36), (108, 112, 118)
_SMALLEST_TEXT, _LARGEST_TEXT = 13, 64  # pixels
_LONGEST_NAME = 16  # in units of the text size
# Of Debian and most Linux, Windows and macOS; those behind have the letters of China, Japan and Korea too.
_FONTS = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "LiberationSans-Regular.ttf",
    "arial.ttf",
    "Arial Unicode.ttf",
    "NotoSansCJK-Regular.ttc",
    "wqy-microhei.ttc",
    "msgothic.ttc",
    "msyh.ttc",
    "malgun.ttf",
)
_Font: TypeAlias = "ImageFont.FreeTypeFont | ImageFont.ImageFont"


class Legend:
    """The rows of a legend, measured, in one column or in as many as fit `width` pixels."""

    def __init__(self, shares: Sequence[Share], text_size: float, width: int | None) -> None:
        self._size = max(_SMALLEST_TEXT, min(_LARGEST_TEXT, round(text_size)))
        rows = rows_of(shares)
        self._font = _font_for("".join(row.name for row in rows), self._size)
        self._rows = [row._replace(name=self._shorten(self._drawable(row.name, row.id))) for row in rows]
        self._margin = round(self._size * 0.9)
        self._name_width = math.ceil(max(self._font.getlength(row.name) for row in self._rows))
        self._share_width = math.ceil(max(self._font.getlength(row.share) for row in self._rows))
        # Swatch, gap, name, gap, percentage.
        self._column = self._size * 2 + self._name_width + self._size + self._share_width
        columns = 1 if width is None else (width - self._margin) // (self._column + 2 * self._margin)
        self._columns = min(max(columns, 1), len(self._rows))
        self._row_height = round(self._size * 1.6)
        self.width = self._columns * (self._column + 2 * self._margin)
        self.height = 2 * self._margin + math.ceil(len(self._rows) / self._columns) * self._row_height

    def draw(self, canvas: PIL.Image.Image, corner: tuple[int, int]) -> None:
        """Draw it with its upper left corner there."""
        draw = ImageDraw.Draw(canvas)
        lines = math.ceil(len(self._rows) / self._columns)
        for index, (id, name, share) in enumerate(self._rows):
            column, line = divmod(index, lines)
            x = corner[0] + self._margin + column * (self._column + 2 * self._margin)
            middle = corner[1] + self._margin + line * self._row_height + self._row_height // 2
            if id is not None:
                half = round(self._size * 0.55)
                swatch = (x, middle - half, x + round(self._size * 1.4), middle + half)
                red, green, blue = colours([id])[0].tolist()
                draw.rounded_rectangle(swatch, radius=self._size // 4, fill=(red, green, blue))
            draw.text((x + self._size * 2, middle), name, _INK, self._font, anchor="lm")
            draw.text((x + self._column, middle), share, _FAINT, self._font, anchor="rm")

    def _drawable(self, name: str, id: int | None) -> str:
        if _has_all(self._font, name):
            return name
        plain = "".join(
            each for each in unicodedata.normalize("NFKD", name) if not unicodedata.combining(each)
        )
        return plain if _has_all(self._font, plain) else f"class {id}"

    def _shorten(self, name: str) -> str:
        if self._font.getlength(name) <= _LONGEST_NAME * self._size:
            return name
        name = name[: 8 * _LONGEST_NAME]
        while name and self._font.getlength(name + "…") > _LONGEST_NAME * self._size:
            name = name[:-1]
        return name.rstrip(" ,") + "…"


def _font_for(text: str, size: int) -> _Font:
    """Pillow's own font, or the first of the system that has all letters of the text where that lacks some."""
    own = ImageFont.load_default(size)
    if _has_all(own, text):
        return own
    for name in _FONTS:
        try:
            font = ImageFont.truetype(name, size)
        except OSError:
            continue
        if _has_all(font, text):
            return font
    return own


def _has_all(font: _Font, text: str) -> bool:
    """Whether a font draws no letter of the text as the box that stands for letters it lacks."""
    lacking = bytes(font.getmask("\U0010ffff"))
    return not any(bytes(font.getmask(each)) == lacking for each in set(text) if not each.isspace())
