"""The tables that a person reads: figures with intervals, the worst classes, what is taken for what."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ....limits import counted
from ... import display
from ...each_image import Row

_MOST_CLASSES, _MOST_CONFUSED = 20, 10
_COLUMNS = {
    "images": "images",
    "share": "of pixels",
    "top_1": "top-1",
    "iou": "IoU",
    "boundary_f_score": "boundary F",
}


def show(result: Row, figures: Mapping[str, str], columns: Sequence[str]) -> None:
    """Print what `summarize` found; `figures` and `columns` name those of the task."""
    against = result.get("against")
    heads, rows, title = figure_table(result, figures)
    display.show_table(heads, rows, *title)
    classes = result["classes"]
    key = "id" if result["task"] == "segment" else "name"  # what the truth says, whatever a side makes of it
    others = {each[key]: each for each in against["classes"]} if against else {}
    compared = columns[-2] if result["task"] == "segment" else columns[-1]
    heads = ["class", *(_COLUMNS[column] for column in columns)]
    rows = []
    for each in classes[:_MOST_CLASSES]:
        row = [each["name"], *(_cell(each[column]) for column in columns)]
        if against:
            row.append(_cell(others[each[key]][compared]) if each[key] in others else "")
        rows.append(row)
    words = (
        "classes" if len(classes) <= _MOST_CLASSES else f"the {_MOST_CLASSES} worst of {len(classes)} classes"
    )
    display.show_table([*heads, *([f"{_COLUMNS[compared]}, second"] if against else [])], rows, words)
    if confused := result["confused"]:
        unit = "pixels" if result["task"] == "segment" else "images"
        rows = [[each["truth"], each["found"], str(each[unit])] for each in confused[:_MOST_CONFUSED]]
        display.show_table(["truth", "found", unit], rows, "taken for another")
    for note in result["notes"]:
        display.show_line(note)


def figure_table(result: Row, figures: Mapping[str, str]) -> tuple[list[str], list[list[str]], list[str]]:
    """Give head, rows and the lines above the table of figures, those of a second side and their differences too."""
    against, title = result.get("against"), [_title(result)]
    heads = ["", "value", "95 % interval"]
    if against:
        title = [f"first: {_title(result)}", f"second: {_title(against)}"]
        heads = ["", "first", "second", "difference", "95 % interval"]
        heads += ["p"] if result["task"] == "classify" else []
    rows = []
    for name, figure in result["figures"].items():
        if not against:
            rows.append([figures[name], _cell(figure["value"]), _interval(figure["interval"])])
        elif difference := result["differences"].get(name):
            second = against["figures"][name]["value"]
            row = [figures[name], _cell(figure["value"]), _cell(second)]
            row += [_signed(difference["value"]), _interval(difference["interval"], _signed)]
            rows.append(
                row + ([f"{difference['p']:.2g}" if "p" in difference else ""] if len(heads) == 6 else [])
            )
    return heads, rows, [*title, counted(result["images"], "image")]


def _title(side: Row) -> str:
    return f"{side['model']} version {side['model_version']} on {side['server']}"


def _cell(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{100 * value:.2f} %"


def _signed(value: float) -> str:
    return f"{100 * value:+.2f} %"


def _interval(ends: Sequence[float], write: Callable[[float], str] = _cell) -> str:
    return " to ".join(map(write, ends))
