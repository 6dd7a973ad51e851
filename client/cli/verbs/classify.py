"""`classify`: the ranked classes of images."""

from __future__ import annotations

import argparse
from collections import Counter

from ... import Client
from .. import display, files
from ..each_image import AddParser, Row, add_image_arguments, answer_each, exit_code


def add_parsers(add: AddParser) -> None:
    """Add `classify`."""
    parser = add("classify", "rank the classes of images")
    add_image_arguments(parser, concurrency=4)
    parser.set_defaults(run=classify)


def classify(client: Client, options: argparse.Namespace) -> int:
    """Print the ranked classes of each image."""
    left_out: Counter[str] = Counter()
    images = files.find_images(options.images, left_out=left_out)

    def rank(index: int) -> Row:
        answer = client.classify(images[index])
        ranking = [prediction._asdict() for prediction in answer.predictions]
        sent = {"sent_size": answer.sent_size} if answer.sent_size else {}
        return {"predictions": ranking, "model_version": answer.model_version, **sent}

    def show(row: Row) -> None:
        if len(images) == 1:
            rows = ([p["name"], str(p["id"]), f"{100 * p['score']:.2f} %"] for p in row["predictions"])
            display.show_table(["class", "id", "score"], rows, row["image"])
            return
        classes = ", ".join(f"{p['name']} {100 * p['score']:.1f} %" for p in row["predictions"])
        display.show_line(f"{row['image']}: {classes}")

    with display.progress(as_json=options.json) as bars:
        rows = answer_each(client, images, rank, show, bars, options, options.concurrency)
    shrunk = sum("sent_size" in row for row in rows)
    display.show_notes(
        f"{shrunk} large photos were sent shrunk: no more than a crop is classified" if shrunk else "",
        files.describe_left_out(left_out),
    )
    return exit_code(rows)
