"""The page of an evaluation: of an image the true regions and those found under a slider, or the ranking."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .... import InvalidInput
from ....images.given import prepare
from ....pictures.overlay import draw_overlay
from ....pictures.shares import format_share
from ...display import Bars
from ...each_image import Row
from ...report.evaluation import Card, Page, write_evaluation
from ...report.parts import compare, picture
from ...report.thumbnails import make_pair, shrink
from .classes import Classes
from .segmentation import Segmentation
from .side import Judge, Side
from .tables import figure_table
from .truth.label_files import read_label_file, read_labels

_OPACITY = 0.55
_MOST_CLASSES = 8


def write_page(path: Path, result: Row, judge: Judge, side: Side, bars: Bars) -> None:
    """Write what `summarize` found, and the worst images of a side."""

    def draw(row: Row, most_bytes: int) -> Card:
        if isinstance(judge, Segmentation):
            return _regions_card(row, side.classes, most_bytes)
        return _ranking_card(row, most_bytes)

    heads, table, title = figure_table(result, judge.figures)
    page = Page(
        title=title,
        heads=heads,
        table=table,
        notes=[*result["notes"], *(["the pictures are of the first side"] if "against" in result else [])],
        rows=result["worst_first"],
        of=result["images"],
        failed=result["without_answer"],
        names=side.classes.name,
        regions=isinstance(judge, Segmentation),
        draw=draw,
    )
    write_evaluation(path, page, bars)


def _regions_card(row: Row, classes: Classes, most_bytes: int) -> Card:
    """Show what a label map makes of an image. Raises InvalidInput where one of its files has changed."""
    image = prepare(row["image"], row["image"]).to_pillow()
    found = read_labels(Path(row["labels"]))
    if image.size != found.shape[::-1]:
        raise InvalidInput(f"{row['image']} has changed: it is {image.width}x{image.height} pixels now")
    truth = read_label_file(Path(row["truth"]), found.shape)
    pair = make_pair(
        draw_overlay(image, truth, [], _OPACITY), draw_overlay(image, found, [], _OPACITY), most_bytes
    )
    most = int(max(truth.max(), found.max())) + 1
    parts, ours = (np.bincount(each.ravel(), minlength=most) / each.size for each in (truth, found))
    ranked = [id for id in np.argsort(-parts, kind="stable")[:_MOST_CLASSES].tolist() if parts[id]]
    lines = [
        (id, classes.name(id), f"true {format_share(parts[id])}, found {format_share(ours[id])}")
        for id in ranked
    ]
    words = (
        f"mean IoU {row['mean_iou']:.1%}, pixel accuracy {row['pixel_accuracy']:.1%}, "
        f"boundary F {row['boundary_f_score']:.1%}; left of the slider: found, right: true"
    )
    return Card(compare(pair, row["image"]), words, lines, {id: float(parts[id]) for id in ranked})


def _ranking_card(row: Row, most_bytes: int) -> Card:
    """Show the ranked classes of an image."""
    small = shrink(prepare(row["image"], row["image"]).to_pillow(), most_bytes)
    lines = [(each["id"], each["name"], format_share(each["score"])) for each in row["ranking"]]
    words = f"true: {row['truth']} ({'right' if row['top_1'] else 'wrong'})"
    true = {} if row["truth_id"] is None else {row["truth_id"]: 1.0}
    return Card(picture(small, row["image"]), words, lines, true)
