"""`classify` and `segment`: files and folders of images."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from client import Client, DeadlineExceeded, InvalidInput, MessageTooLarge, ServerError, _pillow

from . import display, files
from .concurrency import in_order, positive

Row = dict[str, Any]  # of JSON

_SHOWN_AREAS = 5


def add_parsers(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Add both commands."""
    for name, run, text in (
        ("classify", classify, "rank the classes of images"),
        ("segment", segment, "find the class of every pixel; write pictures of the regions"),
    ):
        parser = commands.add_parser(name, parents=[common], help=text, description=text.capitalize() + ".")
        parser.add_argument(
            "images", nargs="+", type=Path, metavar="IMG", help="an image file, or a folder of them"
        )
        parser.add_argument(
            "--concurrency", type=positive, default=4, metavar="N", help="requests at a time (%(default)s)"
        )
        parser.set_defaults(run=run)
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="OUT", help="the folder to write to")
    parser.add_argument(
        "--label-map",
        action="store_true",
        help="also write the class ids as a PNG: a palette image up to 256 classes, 16-bit gray beyond",
    )


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

    return _each(client, images, rank, show, options)


def segment(client: Client, options: argparse.Namespace) -> int:
    """Write an overlay, and on request the label map, of each image."""
    _pillow.require("drawing the overlays")
    images = files.find_images(options.images)
    kinds = ["overlay", "labels"] if options.label_map else ["overlay"]
    results = files.name_results(images, options.out, kinds)
    options.out.mkdir(parents=True, exist_ok=True)

    def draw(index: int) -> Row:
        scene = client.segment(images[index])
        files.save(scene.overlay(), results[index]["overlay"])
        if options.label_map:
            files.save(scene.label_image(), results[index]["labels"])
        return {
            **{kind: str(path) for kind, path in results[index].items()},
            "size": list(scene.label_map.shape),
            "areas": [area._asdict() for area in scene.areas()],
            "model_version": scene.model_version,
        }

    def show(row: Row) -> None:
        if len(images) == 1:
            rows = (
                [area["name"], str(area["id"]), f"{100 * area['fraction']:.2f} %"] for area in row["areas"]
            )
            display.show_table(["class", "id", "area"], rows, title=row["image"])
            print("\n".join(row[kind] for kind in kinds))
            return
        largest = ", ".join(f"{a['name']} {100 * a['fraction']:.1f} %" for a in row["areas"][:_SHOWN_AREAS])
        print(f"{row['image']} -> {row['overlay']}: {largest}", flush=True)

    return _each(client, images, draw, show, options)


def _each(
    client: Client,
    images: Sequence[Path],
    work: Callable[[int], Row],
    show: Callable[[Row], None],
    options: argparse.Namespace,
) -> int:
    """Do the work for each image and show the outcome in order; an image that fails does not stop the others."""
    if not options.json:
        display.require_rich()

    def attempt(index: int) -> Row:
        try:
            return {"image": str(images[index]), **work(index)}
        except (InvalidInput, MessageTooLarge, DeadlineExceeded, ServerError) as error:
            if options.debug:
                raise
            return {"image": str(images[index]), "error": str(error)}

    failed = 0
    outcomes = in_order(attempt, len(images), options.concurrency, client)
    with display.progress(outcomes, len(images), options.command) as rows:
        for row in rows:
            if "error" in row:
                failed += 1
                print(f"error: {row['error']}", file=sys.stderr)
            if options.json:
                display.show_json(row)
            elif "error" not in row:
                show(row)
    if failed and len(images) > 1:
        print(f"error: {failed} of {len(images)} images have no answer", file=sys.stderr)
    return 1 if failed else 0
