"""How results show themselves in a notebook: HTML, and PNG where a front end takes no HTML.

Tables need nothing; pictures need Pillow and are left out where it is missing, or cannot read the image. What a class
is called stays text.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..images import pillow as _pillow
from .palette import colours

if TYPE_CHECKING:
    import PIL.Image

    from ..types import Area, Classification, Segmentation

_LARGEST_SIDE = 1024  # pixels of a picture, its legend aside
_SHOWN_CLASSES = 20

_CELL = 'style="text-align:left;padding:.15em .8em .15em 0;border:0"'
_NUMBER = 'style="text-align:right;padding:.15em 0;border:0"'


def classification_html(result: Classification) -> str:
    """Write the ranking as a table."""
    rows = [
        (f"<td {_CELL}>{_escape(each.name)}</td>", f"{100 * each.score:.1f} %")
        for each in result.predictions[:_SHOWN_CLASSES]
    ]
    return _table(rows, f"model version {result.model_version}")


def segmentation_html(result: Segmentation) -> str:
    """Write the picture of the regions, where it can be drawn, and the areas as a table."""
    height, width = result.label_map.shape
    table = _table(_area_rows(result.areas()), f"{width} × {height}, model version {result.model_version}")
    picture = segmentation_png(result, legend=False)
    if picture is None:
        return table
    data = base64.b64encode(picture).decode()
    return (
        '<div style="display:flex;flex-wrap:wrap;gap:1.5em;align-items:flex-start">'
        f'<img alt="regions" style="max-width:640px;width:100%" src="data:image/png;base64,{data}">{table}</div>'
    )


def segmentation_png(result: Segmentation, *, legend: bool = True) -> bytes | None:
    """Draw the overlay of a large image smaller; None where it cannot be drawn."""
    try:
        _pillow.require("a picture")
        return _encode(_draw_small(result, legend))
    except Exception:  # what shows itself does not fail: the table is there
        return None


def classification_png(result: Classification) -> bytes | None:
    """Draw the ranking; None without Pillow."""
    try:
        _pillow.require("a picture")
        return _encode(_draw_ranking(result))
    except Exception:  # as above
        return None


def _draw_small(result: Segmentation, legend: bool) -> PIL.Image.Image:
    from ..types import OPACITY
    from .overlay import draw_overlay

    step = -(-max(result.label_map.shape) // _LARGEST_SIDE)
    label_map = result.label_map[::step, ::step]
    picture = result._image.to_pillow()
    if step > 1:
        picture = picture.resize(label_map.shape[::-1], reducing_gap=2.0)
    return draw_overlay(picture, label_map, result.areas() if legend else [], OPACITY)


def _draw_ranking(result: Classification) -> PIL.Image.Image:
    """Draw the ranking as the legend of an overlay is drawn; its fractions are the scores."""
    import PIL.Image

    from ..types import Area
    from .legend import Legend

    rows = [Area(each.name, each.id, each.score) for each in result.predictions]
    legend = Legend(rows, text_size=18, width=None)
    canvas = PIL.Image.new("RGB", (legend.width, legend.height), (255, 255, 255))
    legend.draw(canvas, (0, 0))
    return canvas


def _encode(picture: PIL.Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def _area_rows(areas: Sequence[Area]) -> list[tuple[str, str]]:
    from ..types import format_fraction

    rows = []
    for area in areas[:_SHOWN_CLASSES]:
        colour = "#" + bytes(colours([area.id])[0]).hex()
        swatch = f'<span style="color:{colour}">&#9632;</span>'
        rows.append((f"<td {_CELL}>{swatch} {_escape(area.name)}</td>", format_fraction(area.fraction)))
    if rest := areas[_SHOWN_CLASSES:]:
        share = format_fraction(sum(area.fraction for area in rest))
        rows.append((f"<td {_CELL}>and {len(rest)} more</td>", share))
    return rows


def _table(rows: Sequence[tuple[str, str]], caption: str) -> str:
    body = "".join(f"<tr>{name}<td {_NUMBER}>{_escape(share)}</td></tr>" for name, share in rows)
    return (
        f'<table><caption style="text-align:left;padding:0">{_escape(caption)}</caption>'
        f"<tbody>{body}</tbody></table>"
    )


def _escape(text: str) -> str:
    return html.escape(text.encode("utf-8", "replace").decode())
