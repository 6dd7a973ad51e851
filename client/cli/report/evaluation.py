"""The page of `evaluate`: the figures, then the worst images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO

from ... import InvalidInput
from ..display import Bars
from ..files import replacing
from .parts import (
    Row,
    common_folder,
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
from .thumbnails import picture_bytes

MOST_IMAGES = 60


class Card(NamedTuple):
    """An image on the page.

    Attributes:
        picture: HTML.
        words: how good its answer is.
        lines: of its classes: id, or None for one that the model does not have, name, and words.
        true: parts of the image by true class, 0 to 1.
    """

    picture: str
    words: str
    lines: Sequence[tuple[int | None, str, str]]
    true: dict[int, float]


class Page(NamedTuple):
    """What the page shows.

    Attributes:
        title: the lines above the table.
        heads: of its columns.
        table: its rows.
        notes: below the table, a line each.
        rows: of the images, each with `image`, worst first.
        of: how many images there are in all.
        failed: rows of images without an answer.
        names: of the classes, by id.
        regions: whether the pictures have sliders.
        draw: a card of a row, with pictures of at most so many bytes; may raise InvalidInput or OSError.
    """

    title: Sequence[str]
    heads: Sequence[str]
    table: Sequence[Sequence[str]]
    notes: Sequence[str]
    rows: Sequence[Row]
    of: int
    failed: Sequence[Row]
    names: Callable[[int], str]
    regions: bool
    draw: Callable[[Row, int], Card]


def write_evaluation(path: Path, page: Page, bars: Bars) -> None:
    """Write the page, so that there is a whole one of that name, or none."""
    shown = page.rows[:MOST_IMAGES]
    cards = []
    for row in bars.over(shown, len(shown), "report"):
        try:
            cards.append(page.draw(row, picture_bytes(len(shown))))
        except (InvalidInput, OSError) as error:
            cards.append(Card(f'<p class="missing">{text(str(error))}</p>', "", (), {}))
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as draft, open(draft, "w", encoding="utf-8") as file:
        _write(file, page, shown, cards)


def _write(file: TextIO, page: Page, shown: Sequence[Row], cards: Sequence[Card]) -> None:
    file.write(head("Evaluation"))
    file.writelines(_header(page, len(shown)))
    folder = common_folder([*shown, *page.failed])
    if page.failed:
        file.writelines(failures(page.failed, folder))
    classes = rank_classes((id, page.names(id), part) for card in cards for id, part in card.true.items())
    orders = {"": "worst first", "name": "by name"}
    orders |= {str(each.id): f"by the part of {each.name}" for each in classes}
    file.writelines(controls(orders, classes, len(shown), regions=page.regions))
    for row, card in zip(shown, cards, strict=True):
        file.writelines(_article(card, name_of(row, folder)))
    file.writelines(foot(pictures=True))


def _header(page: Page, shown: int) -> Iterator[str]:
    lines = "<br>".join(text(line) for line in page.title)
    yield f"<header>\n<h1>Evaluation</h1>\n<p>{lines}<br>{now()}</p>\n<table>\n<tr>"
    yield "".join(f"<th>{escape(each)}</th>" for each in page.heads)
    for row in page.table:
        yield "</tr>\n<tr>" + "".join(f"<td>{escape(each)}</td>" for each in row)
    yield "</tr>\n</table>\n"
    which = f"the {shown} worst of {page.of} images" if shown < page.of else f"all {page.of} images"
    for note in (*page.notes, f"below: {which}, the worst first"):
        yield f"<p>{text(note)}</p>\n"
    yield "</header>\n"


def _article(card: Card, name: str) -> Iterator[str]:
    areas = " ".join(f"{id}:{part:.6f}" for id, part in card.true.items())
    yield f'<article data-areas="{areas}">\n{card.picture}\n<h2>{text(name)}</h2>\n'
    yield f'<p class="size">{text(card.words)}</p>\n<ul>\n'
    for id, each, words in card.lines:
        yield f"<li>{'' if id is None else swatch(id)}{text(each)}<span>{escape(words)}</span></li>\n"
    yield "</ul>\n</article>\n"
