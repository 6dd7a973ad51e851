"""How results show themselves in a notebook: HTML, and PNG where a front end takes no HTML.

Tables need nothing; pictures need Pillow and are left out where it is missing, or cannot read the image. What a class
is called stays text.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from .palette import colours
from .shares import Row, Share, rows_of

if TYPE_CHECKING:
    import PIL.Image

    Picture = Callable[[], PIL.Image.Image]

_LARGEST_SIDE = 1024  # pixels of a picture, its legend aside
_OPACITY = 0.55  # of the colours

_CELL = 'style="text-align:left;padding:.15em .8em .15em 0;border:0"'
_NUMBER = 'style="text-align:right;padding:.15em 0;border:0"'


def ranking_html(predictions: Sequence[tuple[str, float, int]], version: int) -> str:
    """Write a ranking of names, scores and ids as a table."""
    rows = [Row(None, name, f"{100 * score:.1f} %") for name, score, _ in predictions[:20]]
    return _table(rows, f"model version {version}")


def ranking_png(predictions: Sequence[tuple[str, float, int]]) -> bytes | None:
    """Draw a ranking as the legend of an overlay is drawn; None without Pillow."""

    def draw() -> PIL.Image.Image:
        import PIL.Image

        from .legend import Legend

        legend = Legend([(name, id, score) for name, score, id in predictions], text_size=18, width=None)
        canvas = PIL.Image.new("RGB", (legend.width, legend.height), (255, 255, 255))
        legend.draw(canvas, (0, 0))
        return canvas

    return _png(draw)


def regions_html(picture: Picture, label_map: npt.NDArray[Any], areas: Sequence[Share], version: int) -> str:
    """Write the picture of the regions, where it can be drawn, and the areas as a table."""
    height, width = label_map.shape
    table = _table(rows_of(areas), f"{width} × {height}, model version {version}")
    drawn = regions_png(picture, label_map, [])
    if drawn is None:
        return table
    data = base64.b64encode(drawn).decode()
    return (
        '<div style="display:flex;flex-wrap:wrap;gap:1.5em;align-items:flex-start">'
        f'<img alt="regions" style="max-width:640px;width:100%" src="data:image/png;base64,{data}">{table}</div>'
    )


def regions_png(picture: Picture, label_map: npt.NDArray[Any], areas: Sequence[Share]) -> bytes | None:
    """Draw the overlay of a large image smaller, with a legend of `areas`; None where it cannot be drawn."""

    def draw() -> PIL.Image.Image:
        from .overlay import draw_overlay

        step = -(-max(label_map.shape) // _LARGEST_SIDE)
        small = label_map[::step, ::step]
        image = picture()
        if step > 1:
            image = image.resize(small.shape[::-1], reducing_gap=2.0)
        return draw_overlay(image, small, areas, _OPACITY)

    return _png(draw)


def _png(draw: Picture) -> bytes | None:
    try:
        file = io.BytesIO()
        draw().save(file, "PNG")
        return file.getvalue()
    except Exception:  # what shows itself does not fail: the table is there
        return None


def _table(rows: Sequence[Row], caption: str) -> str:
    body = "".join(
        f"<tr><td {_CELL}>{_swatch(row.id)}{_escape(row.name)}</td><td {_NUMBER}>{_escape(row.share)}</td></tr>"
        for row in rows
    )
    return (
        f'<table><caption style="text-align:left;padding:0">{_escape(caption)}</caption>'
        f"<tbody>{body}</tbody></table>"
    )


def _swatch(id: int | None) -> str:
    if id is None:
        return ""
    return f'<span style="color:#{bytes(colours([id])[0]).hex()}">&#9632;</span> '


def _escape(text: str) -> str:
    return html.escape(text.encode("utf-8", "replace").decode())
