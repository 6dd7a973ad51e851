"""`segment`: pictures of the regions of images, of folders of them, of images too large for one request."""

from __future__ import annotations

import argparse
import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from ... import Client, InvalidInput
from ...channels.addresses import parse_addresses
from ...images import pillow as _pillow
from ...tasks.groups import read_groups
from ...tasks.tiling import Tiling, overlap_for
from .. import display, files
from ..each_image import AddParser, Row, add_image_arguments, answer_each, exit_code, positive
from ..journal import Journal, observe

_JOURNAL = "segmentation.jsonl"
_SHOWN_AREAS = 5


def add_parsers(add: AddParser) -> None:
    """Add the command."""
    parser = add("segment", "find the class of every pixel; write pictures of the regions")
    add_image_arguments(parser, concurrency=4)
    out = "the folder to write to; not searched for images"
    parser.add_argument("-o", "--out", type=files.path_argument, required=True, metavar="OUT", help=out)
    labels = "also write the class ids as a PNG: a palette image up to 256 classes, 16-bit gray beyond"
    parser.add_argument("--label-map", action="store_true", help=labels)
    report = "also write one HTML page with every picture in it"
    parser.add_argument("--report", type=files.path_argument, metavar="FILE", help=report)
    overwrite = "do all images of a folder again, not those left or changed"
    parser.add_argument("--overwrite", action="store_true", help=overwrite)
    tile = "send larger images in tiles with sides of at most that, --concurrency tiles at a time"
    parser.add_argument("--tile", type=positive, metavar="PIXELS", help=tile)
    overlap = (
        "shared by neighbouring tiles (default: what the model's network sees around a pixel, so that the labels "
        "are those of the whole image; less is faster)"
    )
    parser.add_argument("--overlap", type=positive, metavar="PIXELS", help=overlap)
    classes = (
        "a file with the name or the id of a class a line: only these compete for the pixels; or top: those that "
        "cover 2 %% of the pixels or more while all compete (each image is sent twice)"
    )
    parser.add_argument("--classes", type=_classes, metavar="FILE", help=classes)
    groups = "a file of lines name<TAB>group: the classes of a group become regions of one"
    parser.add_argument("--groups", type=_groups, metavar="FILE", help=groups)
    parser.set_defaults(run=segment)


def _classes(text: str) -> Literal["top"] | list[int | str]:
    if text == "top":
        return "top"
    try:
        lines = Path(text).read_text("utf-8-sig").splitlines()
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a name that no file can have
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise argparse.ArgumentTypeError(f"{text} cannot be read: {reason}") from error
    return [int(line) if line.strip().isdecimal() else line.strip() for line in lines if line.strip()]


def _groups(text: str) -> dict[str, str]:
    try:
        return read_groups(text)
    except InvalidInput as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def segment(client: Client, options: argparse.Namespace) -> int:
    """Write an overlay, and on request the label map, of each image; then the report, if there is to be one."""
    _pillow.require("drawing the overlays")
    left_out: Counter[str] = Counter()
    images = files.find_images(options.images, options.out, left_out)
    kinds = ["overlay", "labels"] if options.label_map else ["overlay"]
    results = files.name_results(images, options.out, kinds)
    if options.report:
        written = [path for paths in results for path in paths.values()]
        files.check_report(options.report, [*images, *written, options.out / _JOURNAL])
    if options.overlap and not options.tile:
        raise InvalidInput("--overlap is what tiles share: give --tile too, or leave it out")
    if options.tile:
        options.overlap = options.overlap or overlap_for(client.receptive_field())
        Tiling(options.tile, options.overlap, options.concurrency)  # refuses what no image could be cut by
    files.make_folder(options.out)
    if options.report:
        files.make_folder(options.report.parent)
    with contextlib.ExitStack() as stack:
        journal = stack.enter_context(_journal(client, options)) if len(images) > 1 else None
        bars = stack.enter_context(display.progress(as_json=options.json))
        rows = _segment_each(client, images, results, journal, bars, options)
        if options.report:
            from ..report.page import write_report

            write_report(options.report, rows, options.model, bars)
    if options.report and not options.json:
        display.show_line(str(options.report))
    display.show_notes(files.describe_left_out(left_out))
    return exit_code(rows)


def _journal(client: Client, options: argparse.Namespace) -> Journal:
    settings = {
        "servers": sorted(parse_addresses(options.server)),
        "model": options.model,
        "model_version": client.metadata().version,
        "tile": options.tile,
        "overlap": options.overlap,
        **({"classes": options.classes} if options.classes else {}),
        **({"groups": options.groups} if options.groups else {}),
    }
    return Journal(options.out / _JOURNAL, settings, _check_answer, afresh=options.overwrite)


def _check_answer(answer: Any) -> Row:
    return {
        "height": int(answer["height"]),
        "width": int(answer["width"]),
        "areas": [
            {"name": str(area["name"]), "id": int(area["id"]), "fraction": float(area["fraction"])}
            for area in answer["areas"]
        ],
        "model_version": int(answer["model_version"]),
    }


def _segment_each(
    client: Client,
    images: Sequence[Path],
    results: Sequence[Mapping[str, Path]],
    journal: Journal | None,
    bars: display.Bars,
    options: argparse.Namespace,
) -> list[Row]:
    # Tiles are requests too: where images are cut, they are taken one by one, and their tiles at once.
    images_at_once, tiles_at_once = (1, options.concurrency) if options.tile else (options.concurrency, None)

    def draw(index: int) -> Row:
        paths = {kind: str(path) for kind, path in results[index].items()}
        name = results[index]["overlay"].name
        if journal and (answer := journal.find(name, images[index], results[index])):
            return {**paths, **answer, "unchanged": True}
        before = observe(images[index])
        scene = client.segment(
            images[index],
            tile=options.tile,
            overlap=options.overlap,
            tiles_at_once=tiles_at_once,
            progress=bars.of_parts(images[index].name),
            classes=options.classes,
            groups=options.groups,
        )
        files.save(scene.overlay(), results[index]["overlay"])
        if options.label_map:
            files.save(scene.label_image(), results[index]["labels"])
        answer = {
            "height": scene.label_map.shape[0],
            "width": scene.label_map.shape[1],
            "areas": [area._asdict() for area in scene.areas()],
            "model_version": scene.model_version,
        }
        if journal:
            journal.add(name, before, results[index], answer, model_version=scene.model_version)
        return {**paths, **answer}

    def show(row: Row) -> None:
        if len(images) == 1:
            _show_table(row)
        elif "unchanged" not in row:
            largest = ", ".join(
                f"{area['name']} {100 * area['fraction']:.1f} %" for area in row["areas"][:_SHOWN_AREAS]
            )
            display.show_line(f"{row['image']} -> {row['overlay']}: {largest}")

    rows = answer_each(client, images, draw, show, bars, options, images_at_once)
    unchanged = sum("unchanged" in row for row in rows)
    if unchanged:
        display.show_notes(
            f"{unchanged} of {len(images)} images were done before (--overwrite does them again)"
        )
    return rows


def _show_table(row: Row) -> None:
    rows = ([area["name"], str(area["id"]), f"{100 * area['fraction']:.2f} %"] for area in row["areas"])
    display.show_table(["class", "id", "area"], rows, row["image"])
    for kind in ("overlay", "labels"):
        if kind in row:
            display.show_line(row[kind])
