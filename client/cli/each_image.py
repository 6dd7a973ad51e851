"""The commands over files and folders of images: several requests at a time, one answer or error for each image."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from .. import Client, DeadlineExceeded, InvalidInput, MessageTooLarge, ServerError
from ..images import kinds
from ..streams.ahead import Ahead
from ..streams.threads import each
from . import display

T = TypeVar("T")

_MOST_WAITING = 1000  # results behind an image that takes long

Row = dict[str, Any]  # of JSON
AddParser = Callable[[str, str], argparse.ArgumentParser]
"""Adds a command of that name, with that description and the options that every command has."""


def positive(text: str) -> int:
    """Parse a whole number above zero."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def add_image_arguments(parser: argparse.ArgumentParser, concurrency: int) -> None:
    """Add the images, and how many are sent at a time."""
    text = "an image file, or a folder of them"
    parser.add_argument("images", nargs="+", type=_path, metavar="IMG", help=text)
    add_concurrency(parser, concurrency)


def _path(text: str) -> Path:
    """Parse a path; what a text is that can be none is said."""
    if not text:  # which Path() takes for the current folder
        raise argparse.ArgumentTypeError("the name of an image is empty: is a variable of the shell not set?")
    words, _, _ = kinds.name_text(text).partition(":")
    if words and not os.path.exists(text):
        raise argparse.ArgumentTypeError(f"{kinds.shown(text)} {words}: name a file, or a folder of them")
    return Path(text)


def add_concurrency(parser: argparse.ArgumentParser, default: int) -> None:
    """Add how many requests are sent at a time."""
    text = "requests at a time (%(default)s)"
    parser.add_argument("--concurrency", type=positive, default=default, metavar="N", help=text)


def answer_each(
    client: Client,
    images: Sequence[Path],
    work: Callable[[int], Row],
    show: Callable[[Row], None],
    bars: display.Bars,
    options: argparse.Namespace,
    at_once: int,
) -> list[Row]:
    """Do the work for each image and show the outcome in order. Returns the rows of `attempt_each`."""
    rows = []
    attempts = attempt_each(client, images, work, at_once, debug=options.debug)
    for row in bars.over(attempts, len(images), options.command):
        rows.append(row)
        if options.json:
            display.show_json(row)
        elif "error" not in row:
            show(row)
    return rows


def attempt_each(
    client: Client, images: Sequence[Path], work: Callable[[int], Row], at_once: int, *, debug: bool
) -> Iterator[Row]:
    """Do the work for each image; give the rows in order: `image`, and `error` or what the work returned.

    An image that fails does not stop the others, and is named on stderr. `debug` lets its error pass.
    """

    def attempt(index: int) -> Row:
        try:
            return {"image": str(images[index]), **work(index)}
        except (InvalidInput, MessageTooLarge, DeadlineExceeded, ServerError) as error:
            if debug:
                raise
            return {"image": str(images[index]), "error": str(error)}

    failed = 0
    for row in in_order(attempt, len(images), at_once, client):
        if "error" in row:
            failed += 1
            display.show_notes(f"error: {_name_error(row)}")
        yield row
    if failed and len(images) > 1:
        print(f"error: {failed} of {len(images)} images have no answer", file=sys.stderr)


def _name_error(row: Row) -> str:
    """Put the image's name before an error that does not begin with it: the server's own know no names."""
    image, error = row["image"], row["error"]
    return str(error) if error.startswith(image) else f"{image}: {error}"


def exit_code(rows: Sequence[Row]) -> int:
    """Give 1 where an image failed."""
    return 1 if any("error" in row for row in rows) else 0


def in_order(work: Callable[[int], T], count: int, concurrency: int, client: Client) -> Iterator[T]:
    """Do the work for 0, 1, ... `count` - 1 in threads; give the results, which are small, in order.

    Whatever ends it early, Ctrl-C too, closes the client, so that the calls under way end at once.
    """

    def work_alone(group: Sequence[tuple[int, int]]) -> list[T]:
        return [work(index) for index, _ in group]

    ahead = Ahead(range(count), concurrency, waiting=_MOST_WAITING)
    return each(work_alone, range(count), ahead, ordered=True, end=client.close)
