"""What `classify` and `segment` share, and `classify`: files and folders of images."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .. import Client, DeadlineExceeded, InvalidInput, MessageTooLarge, ServerError
from . import display, files
from .concurrency import in_order, positive

Row = dict[str, Any]  # of JSON


def add_parser(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    common: argparse.ArgumentParser,
    name: str,
    text: str,
) -> argparse.ArgumentParser:
    """Add a command over images."""
    parser = commands.add_parser(
        name, parents=[common], help=text, description=text[:1].upper() + text[1:] + "."
    )
    parser.add_argument(
        "images", nargs="+", type=Path, metavar="IMG", help="an image file, or a folder of them"
    )
    parser.add_argument(
        "--concurrency", type=positive, default=4, metavar="N", help="requests at a time (%(default)s)"
    )
    return parser


def add_parsers(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Add `classify`."""
    add_parser(commands, common, "classify", "rank the classes of images").set_defaults(run=classify)


def classify(client: Client, options: argparse.Namespace) -> int:
    """Print the ranked classes of each image."""
    images = files.find_images(options.images)

    def rank(index: int) -> Row:
        answer = client.classify(images[index])
        ranking = [prediction._asdict() for prediction in answer.predictions]
        return {"predictions": ranking, "model_version": answer.model_version}

    def show(row: Row) -> None:
        if len(images) == 1:
            rows = ([p["name"], str(p["id"]), f"{100 * p['score']:.2f} %"] for p in row["predictions"])
            display.show_table(["class", "id", "score"], rows, title=row["image"])
            return
        classes = ", ".join(f"{p['name']} {100 * p['score']:.1f} %" for p in row["predictions"])
        print(f"{row['image']}: {classes}", flush=True)

    with display.progress(as_json=options.json) as bars:
        return exit_code(answer_each(client, images, rank, show, bars, options, options.concurrency))


def answer_each(
    client: Client,
    images: Sequence[Path],
    work: Callable[[int], Row],
    show: Callable[[Row], None],
    bars: display.Bars,
    options: argparse.Namespace,
    at_once: int,
) -> list[Row]:
    """Do the work for each image and show the outcome in order; an image that fails does not stop the others.

    Returns the rows: `image`, and `error` or what the work returned.
    """
    if not options.json:
        display.require_rich()

    def attempt(index: int) -> Row:
        try:
            return {"image": str(images[index]), **work(index)}
        except (InvalidInput, MessageTooLarge, DeadlineExceeded, ServerError) as error:
            if options.debug:
                raise
            return {"image": str(images[index]), "error": str(error)}

    rows = []
    outcomes = in_order(attempt, len(images), at_once, client)
    for row in bars.over(outcomes, len(images), options.command):
        rows.append(row)
        if "error" in row:
            print(f"error: {_name_error(row)}", file=sys.stderr)
        if options.json:
            display.show_json(row)
        elif "error" not in row:
            show(row)
    failed = sum("error" in row for row in rows)
    if failed and len(images) > 1:
        print(f"error: {failed} of {len(images)} images have no answer", file=sys.stderr)
    return rows


def _name_error(row: Row) -> str:
    """Put the image's name before an error that does not begin with it: the server's own know no names."""
    image, error = row["image"], row["error"]
    return str(error) if error.startswith(image) else f"{image}: {error}"


def exit_code(rows: Sequence[Row]) -> int:
    """Give 1 where an image failed."""
    return 1 if any("error" in row for row in rows) else 0
