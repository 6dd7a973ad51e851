"""The best classes of an export and of its reference: the same but for ties within rounding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import ExportError
from ..plan.plan import Plan
from ..types import Array
from .reference import expected, guided
from .reference.pixel_scores import PixelScores
from .reference.upsampled import rows_of_scores

# What must agree of that which rounding leaves decided.
LEAST_SHARE = {"float32": 1.0, "bfloat16": 0.99, "float16": 0.99}
_ROWS_APART = 5


def at_fault(precision: str) -> str:
    """What an export suffers from that differs by more than rounding explains, and what to do."""
    if precision == "int8":
        return (
            "this network loses too much in 8 bits, or the images of --calibrate are unlike others, such as all dark: "
            "calibrate on more images like those to be served, or export it with --precision bfloat16"
        )
    if precision != "float32":
        return f"this network loses too much in {precision}, export it with --precision float32"
    return (
        "this is a fault of the exporter, unless training diverged and the network multiplies what is rounded: try "
        "another checkpoint of the training, and if that fails too, please report it with the checkpoint's network"
    )


@dataclass(frozen=True)
class Labels:
    """Best classes of crops and labels of pixels, counted.

    Attributes:
        crops: how many were compared, crops_decided: of those, how many have a best class that rounding cannot change,
            crops_same: of those, how many the export puts into it.
        pixels, pixels_decided, pixels_same: the same of a label map's pixels.
    """

    crops: int = 0
    crops_decided: int = 0
    crops_same: int = 0
    pixels: int = 0
    pixels_decided: int = 0
    pixels_same: int = 0

    def plus(self, other: Labels) -> Labels:
        """Both."""
        return Labels(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))

    def require(self, precision: str) -> None:
        """Raise ExportError where fewer agree than the precision must; for int8 the user says how many."""
        least = LEAST_SHARE.get(precision, 0.0)
        for what, same, decided in (
            ("images are put into the class", self.crops_same, self.crops_decided),
            ("pixels get the label", self.pixels_same, self.pixels_decided),
        ):
            if same < least * decided:
                raise ExportError(
                    f"{same} of {decided} {what} that the reference gives them, ties within rounding left out "
                    f"(required in {precision}: {least:.0%}); nothing was published: " + at_fault(precision)
                )


def compare_top_1(ours: Sequence[Array], reference: Sequence[Array], bound: float, precision: str) -> Labels:
    """Count the crops, logits [C] each, with the same best class."""
    decided = same = 0
    for logits, exact in zip(ours, reference, strict=True):
        best, lead = PixelScores.of_all(exact[None]).best()
        if lead[0] > _least_margin(exact, bound, precision):
            decided += 1
            same += int(logits.argmax() == best[0])
    return Labels(crops=len(ours), crops_decided=decided, crops_same=same)


def compare_labels(label_map: Array, cells: Array, image: Array, plan: Plan, bound: float) -> Labels:
    """Count the pixels of the `label_map` [H, W] of an `image` that get the label that the reference's `cells` give.

    What lies between the cells [h, w, C] that the reference has is compared, every fifth row of it; nothing at a finer
    output stride, whose scores the reference lacks.
    """
    network, options = plan.network, plan.options
    if options.output_stride != network.stride or not cells.size:
        return Labels()
    cells = expected.pooled(cells, options.pooling_window)
    height, width = label_map.shape
    rows, columns = expected.places((height, width), (cells.shape[0], cells.shape[1]), network, options)
    reach = options.guided_reach(network) if options.upsampling == "guided" else 0
    if options.geometry == "aligned":
        # The first of these cells is not the image's first.
        missing = (network.window - 1) // 2
        rows, columns = rows - missing, columns - missing
        edge = reach if missing else 0
        between = (columns >= edge) & (columns <= cells.shape[1] - 1 - edge)
        lines = np.flatnonzero((rows >= edge) & (rows <= len(cells) - 1 - edge))
    else:
        between, lines = np.ones(width, bool), np.arange(height)
    least = _least_margin(cells, bound, options.precision)
    scores_of = rows_of_scores(cells, image, (rows, columns), network, options, least)
    if reach and options.precision == "float32":
        least = guided.rounding(cells, least)
    pixels = decided = same = 0
    for row in lines[::_ROWS_APART]:
        best, lead = scores_of(row).among(between).best()
        clear = lead > least
        pixels += clear.size
        decided += int(clear.sum())
        same += int(np.sum(clear & (best == label_map[row][between])))
    return Labels(pixels=pixels, pixels_decided=decided, pixels_same=same)


def _least_margin(exact: Array, bound: float, precision: str) -> float:
    """By how much the best score must lead, so that rounding leaves it the best.

    In float32 it does in any case. The bound for 16 bits is a rare extreme, and is taken of the scores' spread: scores
    that are large and nearly equal would otherwise leave nothing decided.
    """
    if precision == "float32":
        return 2 * bound * float(np.abs(exact).max())
    return bound * float(np.abs(exact - exact.mean(axis=-1, keepdims=True)).max())
