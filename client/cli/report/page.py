"""The page, written picture by picture: its size in memory does not grow with the run.

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
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from ... import InvalidInput
from ...pictures.palette import colours
from ...pictures.shares import format_share
from ..display import Bars
from ..files import replacing
from .thumbnails import draw_pair, picture_bytes

_Row = dict[str, Any]

_FOLDER = Path(__file__).parent
_SHOWN_AREAS = 6  # of an image; the others are behind a click
# Lone surrogates, control characters, and what turns the direction of the text behind it.
_NOT_TEXT = re.compile("[\ud800-\udfff\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class _Class(NamedTuple):
    """A class over all images: its part of all pixels, and the images it occurs in."""

    name: str
    id: int
    fraction: float
    images: int


def write_report(path: Path, rows: Sequence[_Row], model: str, bars: Bars) -> None:
    """Write the page about `rows`, those of `segment --json`, so that there is a whole one of that name, or none."""
    with replacing(path) as draft, open(draft, "w", encoding="utf-8") as file:
        _write(file, rows, model, bars)


def _write(file: TextIO, rows: Sequence[_Row], model: str, bars: Bars) -> None:
    answered = [row for row in rows if "error" not in row]
    failed = [row for row in rows if "error" in row]
    classes = _rank_classes(answered)
    style, script = ((_FOLDER / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    file.write(_head(style, script))
    folder = _common_folder(rows)
    file.writelines(_header(answered, failed, folder, model))
    if failed:
        file.writelines(_failures(failed, folder))
    if answered:
        file.writelines(_controls(classes, len(answered)))
        file.write('<main id="pictures">\n')
        for row in bars.over(answered, len(answered), "report"):
            file.writelines(_card(row, folder, picture_bytes(len(answered))))
        file.write('</main>\n<p id="none" hidden>No picture fits the search.</p>\n')
    file.write(f"<script>{script}</script>\n</body>\n</html>\n")


def _common_folder(rows: Sequence[_Row]) -> str:
    """Find the folder that all images lie in, to be named once; empty where there is none."""
    try:
        return os.path.commonpath([os.path.dirname(str(row["image"])) for row in rows])
    except ValueError:  # some paths are absolute and some are not, or there are none
        return ""


def _name(row: _Row, folder: str) -> str:
    name: str = row["image"]
    return os.path.relpath(name, folder) if folder else name


def _rank_classes(rows: Sequence[_Row]) -> list[_Class]:
    """Sum the classes up over all images, largest first."""
    names: dict[int, str] = {}
    pixels: dict[int, float] = {}
    images: dict[int, int] = {}
    for row in rows:
        for area in row["areas"]:
            id = area["id"]
            names[id] = area["name"]
            pixels[id] = pixels.get(id, 0.0) + area["fraction"] * row["height"] * row["width"]
            images[id] = images.get(id, 0) + 1
    total = sum(row["height"] * row["width"] for row in rows)
    ranked = sorted(pixels, key=lambda id: -pixels[id])
    return [_Class(names[id], id, pixels[id] / total, images[id]) for id in ranked]


def _head(style: str, script: str) -> str:
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
<title>Segmentation</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
"""


def _hash(text: str) -> str:
    """Name an inline style or script in a policy (Content Security Policy Level 3, section 2.3.1)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _header(answered: Sequence[_Row], failed: Sequence[_Row], folder: str, model: str) -> Iterator[str]:
    versions = sorted({row["model_version"] for row in answered})
    numbers = ", ".join(map(str, versions))
    version = f", version{'s' if len(versions) > 1 else ''} {numbers}" if versions else ""
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    errors = f' · <a href="#failed">{len(failed)} without an answer</a>' if failed else ""
    count = f"{len(answered)} image{'' if len(answered) == 1 else 's'}"
    place = f" in {_text(folder)}" if folder else ""
    yield "<header>\n<h1>Segmentation</h1>\n"
    yield f"<p>{count}{place}{errors} · {_text(model)}{version} · {now}</p>\n</header>\n"


def _failures(rows: Sequence[_Row], folder: str) -> Iterator[str]:
    yield '<section id="failed" aria-labelledby="failed-title">\n'
    yield f'<h2 id="failed-title">{len(rows)} without an answer</h2>\n<ul>\n'
    for row in rows:
        error = row["error"].removeprefix(row["image"] + ": ")
        yield f"<li>{_text(_name(row, folder))}: {_text(error)}</li>\n"
    yield "</ul>\n</section>\n"


def _controls(classes: Sequence[_Class], images: int) -> Iterator[str]:
    yield '<section id="controls" aria-label="Search and sort">\n<div id="bar">\n'
    yield '<label>Search <input type="search" id="search" placeholder="file or class" autocomplete="off"></label>\n'
    yield '<label>Sort <select id="sort" autocomplete="off">\n<option value="">in the order of the run</option>\n'
    yield '<option value="name">by name</option>\n<option value="largest">by the largest area</option>\n'
    yield '<option value="classes">by the number of classes</option>\n'
    for each in classes:
        yield f'<option value="{each.id}">by the area of {_escape(each.name)}</option>\n'
    yield "</select></label>\n"
    yield '<label>All regions <input type="range" id="all" autocomplete="off" min="0" max="100" value="50"></label>\n'
    yield f'<output id="count" aria-live="polite">{images} of {images}</output>\n</div>\n'
    yield '<div id="classes" role="group" aria-label="Classes: show the pictures that have them">\n'
    for each in classes:
        title = f"in {each.images} of {images} images"
        yield f'<button type="button" data-class="{each.id}" aria-pressed="false" title="{title}">'
        yield f"{_swatch(each.id)}{_text(each.name)}<span>{_escape(format_share(each.fraction))}</span></button>\n"
    yield "</div>\n</section>\n"


def _card(row: _Row, folder: str, most_bytes: int) -> Iterator[str]:
    name = _name(row, folder)
    areas = row["areas"]
    height, width = row["height"], row["width"]
    ids = " ".join(f"{area['id']}:{area['fraction']:.6f}" for area in areas)
    yield f'<article data-areas="{ids}">\n'
    try:
        pair = draw_pair(Path(row["image"]), Path(row["overlay"]), (height, width), most_bytes)
    except (InvalidInput, OSError) as error:
        yield f'<p class="missing">{_text(str(error))}</p>\n'
    else:
        size = f'width="{pair.width}" height="{pair.height}" decoding="async" loading="lazy"'
        alt = _escape(name)
        yield f'<div class="compare"><img src="{pair.image}" alt="{alt}" {size}>'
        yield f'<img class="regions" src="{pair.regions}" alt="" {size}><i></i>'
        yield '<input type="range" min="0" max="100" value="50" autocomplete="off" '
        yield f'aria-label="Regions shown of {alt}"></div>\n'
    yield f'<h2>{_text(name)}</h2>\n<p class="size">{width} × {height}</p>\n{_stack(areas)}'
    yield from _areas(areas)
    yield "</article>\n"


def _areas(areas: Sequence[_Row]) -> Iterator[str]:
    yield from _list(areas[:_SHOWN_AREAS])
    if rest := areas[_SHOWN_AREAS:]:
        share = format_share(sum(area["fraction"] for area in rest))
        yield f"<details><summary>{len(rest)} more, {_escape(share)}</summary>\n"
        yield from _list(rest)
        yield "</details>\n"


def _list(areas: Iterable[_Row]) -> Iterator[str]:
    yield "<ul>\n"
    for area in areas:
        share = _escape(format_share(area["fraction"]))
        yield f"<li>{_swatch(area['id'])}{_text(area['name'])}<span>{share}</span></li>\n"
    yield "</ul>\n"


def _stack(areas: Sequence[_Row]) -> str:
    """Draw the areas as parts of one bar: SVG attributes, which the policy lets through as style would not be."""
    parts, left = [], 0.0
    for area in areas:
        wide = 100 * area["fraction"]
        parts.append(f'<rect x="{left:.3f}" width="{wide:.3f}" height="1" fill="{_colour(area["id"])}"/>')
        left += wide
    opening = '<svg class="stack" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">'
    return f"{opening}{''.join(parts)}</svg>\n"


def _swatch(id: int) -> str:
    square = f'<rect width="1" height="1" fill="{_colour(id)}"/>'
    return f'<svg class="swatch" viewBox="0 0 1 1" aria-hidden="true">{square}</svg>'


def _colour(id: int) -> str:
    return "#" + bytes(colours([id])[0]).hex()


def _text(text: str) -> str:
    """Show any string as text, with no say in the direction of what surrounds it."""
    return f"<bdi>{_escape(text)}</bdi>"


def _escape(text: str) -> str:
    return html.escape(_NOT_TEXT.sub("\ufffd", text))
