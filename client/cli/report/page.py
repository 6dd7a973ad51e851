"""The page of `segment`, written picture by picture: its size in memory does not grow with the run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

from ... import InvalidInput
from ...pictures.shares import format_share
from ..display import Bars
from ..files import replacing
from .parts import (
    Row,
    colour,
    common_folder,
    compare,
    controls,
    escape,
    failures,
    foot,
    head,
    name_of,
    now,
    rank_classes,
    swatch,
    text,
)
from .thumbnails import draw_pair, picture_bytes

_SHOWN_AREAS = 6  # of an image; the others are behind a click
_ORDERS = {
    "": "in the order of the run",
    "name": "by name",
    "largest": "by the largest area",
    "classes": "by the number of classes",
}


def write_report(path: Path, rows: Sequence[Row], model: str, bars: Bars) -> None:
    """Write the page about `rows`, those of `segment --json`, so that there is a whole one of that name, or none."""
    with replacing(path) as draft, open(draft, "w", encoding="utf-8") as file:
        _write(file, rows, model, bars)


def _write(file: TextIO, rows: Sequence[Row], model: str, bars: Bars) -> None:
    answered = [row for row in rows if "error" not in row]
    failed = [row for row in rows if "error" in row]
    classes = rank_classes(
        (area["id"], area["name"], area["fraction"] * row["height"] * row["width"])
        for row in answered
        for area in row["areas"]
    )
    file.write(head("Segmentation"))
    folder = common_folder(rows)
    file.writelines(_header(answered, failed, folder, model))
    if failed:
        file.writelines(failures(failed, folder))
    if answered:
        orders = {**_ORDERS, **{str(each.id): f"by the area of {each.name}" for each in classes}}
        file.writelines(controls(orders, classes, len(answered)))
        for row in bars.over(answered, len(answered), "report"):
            file.writelines(_card(row, folder, picture_bytes(len(answered))))
    file.writelines(foot(pictures=bool(answered)))


def _header(answered: Sequence[Row], failed: Sequence[Row], folder: str, model: str) -> Iterator[str]:
    versions = sorted({row["model_version"] for row in answered})
    numbers = ", ".join(map(str, versions))
    version = f", version{'s' if len(versions) > 1 else ''} {numbers}" if versions else ""
    errors = f' · <a href="#failed">{len(failed)} without an answer</a>' if failed else ""
    count = f"{len(answered)} image{'' if len(answered) == 1 else 's'}"
    place = f" in {text(folder)}" if folder else ""
    yield "<header>\n<h1>Segmentation</h1>\n"
    yield f"<p>{count}{place}{errors} · {text(model)}{version} · {now()}</p>\n</header>\n"


def _card(row: Row, folder: str, most_bytes: int) -> Iterator[str]:
    name = name_of(row, folder)
    areas = row["areas"]
    height, width = row["height"], row["width"]
    ids = " ".join(f"{area['id']}:{area['fraction']:.6f}" for area in areas)
    yield f'<article data-areas="{ids}">\n'
    try:
        pair = draw_pair(Path(row["image"]), Path(row["overlay"]), (height, width), most_bytes)
    except (InvalidInput, OSError) as error:
        yield f'<p class="missing">{text(str(error))}</p>\n'
    else:
        yield compare(pair, name)
    yield f'<h2>{text(name)}</h2>\n<p class="size">{width} × {height}</p>\n{_stack(areas)}'
    yield from _areas(areas)
    yield "</article>\n"


def _areas(areas: Sequence[Row]) -> Iterator[str]:
    yield from _list(areas[:_SHOWN_AREAS])
    if rest := areas[_SHOWN_AREAS:]:
        share = format_share(sum(area["fraction"] for area in rest))
        yield f"<details><summary>{len(rest)} more, {escape(share)}</summary>\n"
        yield from _list(rest)
        yield "</details>\n"


def _list(areas: Iterable[Row]) -> Iterator[str]:
    yield "<ul>\n"
    for area in areas:
        share = escape(format_share(area["fraction"]))
        yield f"<li>{swatch(area['id'])}{text(area['name'])}<span>{share}</span></li>\n"
    yield "</ul>\n"


def _stack(areas: Sequence[Row]) -> str:
    """Draw the areas as parts of one bar: SVG attributes, which the policy lets through as style would not be."""
    parts, left = [], 0.0
    for area in areas:
        wide = 100 * area["fraction"]
        parts.append(f'<rect x="{left:.3f}" width="{wide:.3f}" height="1" fill="{colour(area["id"])}"/>')
        left += wide
    opening = '<svg class="stack" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">'
    return f"{opening}{''.join(parts)}</svg>\n"
