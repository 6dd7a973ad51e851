"""What every page of a report has: its head, text that stays text, and pictures that are compared.

Whatever a file or a class is called, it stays text: everything is escaped, and a content security policy allows
the page's own style and script, by their hashes, and pictures inside the page, and nothing else.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import html
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ...pictures.palette import colours
from ...pictures.shares import format_share
from .thumbnails import Pair

Row = dict[str, Any]

_FOLDER = Path(__file__).parent
# Lone surrogates, control characters, and what turns the direction of the text behind it.
_NOT_TEXT = re.compile("[\ud800-\udfff\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class Class(NamedTuple):
    """A class over all images: its part of all pixels, and the images it occurs in."""

    name: str
    id: int
    fraction: float
    images: int


def head(title: str) -> str:
    """Begin a page of that title."""
    style, script = _read("report.css"), _read("report.js")
    policy = (
        f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
"""


def foot(*, pictures: bool) -> Iterator[str]:
    """End a page, and the pictures that `controls` began."""
    if pictures:
        yield '</main>\n<p id="none" hidden>No picture fits the search.</p>\n'
    yield f"<script>{_read('report.js')}</script>\n</body>\n</html>\n"


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Name an inline style or script in a policy (Content Security Policy Level 3, section 2.3.1)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def common_folder(rows: Sequence[Row]) -> str:
    """Find the folder that all images lie in, to be named once; empty where there is none."""
    try:
        return os.path.commonpath([os.path.dirname(str(row["image"])) for row in rows])
    except ValueError:  # some paths are absolute and some are not, or there are none
        return ""


def name_of(row: Row, folder: str) -> str:
    """Name an image by its path in the common folder."""
    name: str = row["image"]
    return os.path.relpath(name, folder) if folder else name


def controls(
    orders: Mapping[str, str], classes: Sequence[Class], images: int, *, regions: bool = True
) -> Iterator[str]:
    """Begin the pictures: a search, how they are sorted (the value and the words of each order), a button a class."""
    yield '<section id="controls" aria-label="Search and sort">\n<div id="bar">\n'
    yield '<label>Search <input type="search" id="search" placeholder="file or class" autocomplete="off"></label>\n'
    yield '<label>Sort <select id="sort" autocomplete="off">\n'
    for value, words in orders.items():
        yield f'<option value="{escape(value)}">{escape(words)}</option>\n'
    yield "</select></label>\n"
    if regions:
        slider = '<input type="range" id="all" autocomplete="off" min="0" max="100" value="50">'
        yield f"<label>All regions {slider}</label>\n"
    yield f'<output id="count" aria-live="polite">{images} of {images}</output>\n</div>\n'
    yield '<div id="classes" role="group" aria-label="Classes: show the pictures that have them">\n'
    for each in classes:
        title = f"in {each.images} of {images} images"
        yield f'<button type="button" data-class="{each.id}" aria-pressed="false" title="{title}">'
        yield f"{swatch(each.id)}{text(each.name)}<span>{escape(format_share(each.fraction))}</span></button>\n"
    yield "</div>\n</section>\n"
    yield '<main id="pictures">\n'


def rank_classes(found: Iterable[tuple[int, str, float]]) -> list[Class]:
    """Sum up over all images what is found in each: of a class the id, the name and its part; largest first."""
    names: dict[int, str] = {}
    parts: dict[int, list[float]] = {}
    for id, name, part in found:
        names[id] = name
        parts.setdefault(id, []).append(part)
    total = sum(map(sum, parts.values()))
    ranked = sorted(parts, key=lambda id: -sum(parts[id]))
    return [Class(names[id], id, sum(parts[id]) / total, len(parts[id])) for id in ranked]


def picture(data: str, name: str) -> str:
    """Show one picture, a data URI."""
    return f'<img class="picture" src="{data}" alt="{escape(name)}" decoding="async" loading="lazy">\n'


def compare(pair: Pair, name: str) -> str:
    """Lay two pictures over each other, and a slider between them."""
    size = f'width="{pair.width}" height="{pair.height}" decoding="async" loading="lazy"'
    alt = escape(name)
    return (
        f'<div class="compare"><img src="{pair.image}" alt="{alt}" {size}>'
        f'<img class="regions" src="{pair.regions}" alt="" {size}><i></i>'
        '<input type="range" min="0" max="100" value="50" autocomplete="off" '
        f'aria-label="Regions shown of {alt}"></div>\n'
    )


def now() -> str:
    """Give the time as a page states it."""
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def failures(rows: Sequence[Row], folder: str) -> Iterator[str]:
    """List the images without an answer."""
    yield '<section id="failed" aria-labelledby="failed-title">\n'
    yield f'<h2 id="failed-title">{len(rows)} without an answer</h2>\n<ul>\n'
    for row in rows:
        error = row["error"].removeprefix(row["image"] + ": ")
        yield f"<li>{text(name_of(row, folder))}: {text(error)}</li>\n"
    yield "</ul>\n</section>\n"


def swatch(id: int) -> str:
    """Draw the colour of a class."""
    square = f'<rect width="1" height="1" fill="{colour(id)}"/>'
    return f'<svg class="swatch" viewBox="0 0 1 1" aria-hidden="true">{square}</svg>'


def colour(id: int) -> str:
    """Give the colour of a class as CSS and SVG write it."""
    return "#" + bytes(colours([id])[0]).hex()


def text(text: str) -> str:
    """Show any string as text, with no say in the direction of what surrounds it."""
    return f"<bdi>{escape(text)}</bdi>"


def escape(text: str) -> str:
    """Write any string as text of HTML, in attributes too."""
    return html.escape(_NOT_TEXT.sub("\ufffd", text))
