"""What an evaluation found, as one object of JSON: figures with intervals, classes, mistakes, differences."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

from ...each_image import Row
from .classification import Classification
from .comparison import METHOD, Tally, difference_intervals, intervals, mcnemar
from .side import Judge, Side
from .truth.find import Truth

_MCNEMAR = "p: McNemar's exact test, two-sided, over the images that one side alone has right"
_FEW = 30  # images
_HIDDEN = ("pixels", "boundaries")  # of a row: what its figures were made of


def summarize(images: Sequence[Path], truth: Truth, judge: Judge, sides: Sequence[Side]) -> Row:
    """Sum up the sides over the images that all of them answered; the worst images of the first side come first.

    `images` are those with a truth.
    """
    judged = [index for index in range(len(images)) if not any("error" in side.rows[index] for side in sides)]
    errors = {row["image"]: row["error"] for side in reversed(sides) for row in side.rows if "error" in row}
    result: Row = {
        "task": judge.verb,
        "reason": truth.reason,
        "images": len(judged),
        "without_answer": [{"image": image, "error": error} for image, error in errors.items()],
        "without_truth": 0,
        "truth_without_image": list(truth.unused),
    }
    if not judged:
        return result
    rows = [[side.rows[index] for index in judged] for side in sides]
    tallies = [judge.tally(of_side, side.classes) for of_side, side in zip(rows, sides, strict=True)]
    summaries = [
        _summarize_side(judge, side, of_side, tally)
        for side, of_side, tally in zip(sides, rows, tallies, strict=True)
    ]
    result |= {**summaries[0], "notes": [METHOD, *judge.notes(rows[0], sides[0].classes)]}
    if len(sides) == 2:
        result |= {"against": summaries[1], "differences": _differences(judge, rows, tallies)}
        if isinstance(judge, Classification):
            result["notes"].append(_MCNEMAR)
        names = (side.classes.names for side in sides)
        if other := [pair for pair in zip_longest(*names) if pair[0] != pair[1]]:
            result["notes"].append(
                f"the sides name {len(other)} classes differently, such as {other[0][0]!r} and {other[0][1]!r}"
            )
    if len(judged) < _FEW:
        result["notes"].append(f"intervals from fewer than {_FEW} images are too narrow: take more")
    order = sorted(range(len(judged)), key=lambda index: judge.worst_first(rows[0][index]))
    result["worst_first"] = [
        {key: value for key, value in rows[0][index].items() if key not in _HIDDEN} for index in order
    ]
    return result


def _summarize_side(judge: Judge, side: Side, rows: Sequence[Row], tally: Tally) -> Row:
    ends = intervals(tally).T.tolist()
    values = tally.values().tolist()
    return {
        "server": side.server,
        "model": side.model,
        "model_version": side.version,
        "figures": {
            name: {"value": value, "interval": interval}
            for name, value, interval in zip(tally.names, values, ends, strict=True)
        },
        "classes": judge.by_class(rows, side.classes),
        "confused": judge.confused(rows, side.classes),
        "unknown_classes": judge.unknown(rows, side.classes),
    }


def _differences(judge: Judge, rows: Sequence[Sequence[Row]], tallies: Sequence[Tally]) -> Row:
    """Compare the second side with the first: what it has more."""
    names = [name for name in tallies[0].names if name in tallies[1].names]
    one, other = (tally.only(names) for tally in tallies)
    values = (other.values() - one.values()).tolist()
    ends = difference_intervals(one, other).T.tolist()
    differences: Row = {
        name: {"value": value, "interval": interval}
        for name, value, interval in zip(names, values, ends, strict=True)
    }
    if isinstance(judge, Classification):
        pairs = [(first["top_1"], second["top_1"]) for first, second in zip(*rows, strict=True)]
        only_one, only_other = pairs.count((True, False)), pairs.count((False, True))
        differences["top_1"] |= {
            "first_alone_right": only_one,
            "second_alone_right": only_other,
            "p": mcnemar(only_one, only_other),
        }
    return differences
