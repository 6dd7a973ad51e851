"""Draw results.json: python -m benchmarks.plot RESULTS PNG, in the peers' environment, which has matplotlib."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.ticker import LogLocator

_OURS, _DENSE, _MISSED = "#1f6f8b", "#c2703d", "#b3261e"
_PANELS = {  # what is drawn of the rows, by their names; the long table has all
    "Speed": (
        "logits, 512x512, x86 *",
        "logits, 8 images *, portable float32",
        "logits, 8 images *, x86 bfloat16",
        "served, *: a call of 224x224, median",
    ),
    "Memory": ("served, *: resident after load", "resident memory *", "head, * natural *: peak memory"),
    "Cost": (
        "on disk, *",
        "installed size *",
        "import client: time",
        "export: time",
        "served, *: seconds until ready",
    ),
}


def draw(results: dict[str, Any], file: Path) -> None:
    """Three panels of a few rows, a dot for each ratio and its target as a tick; below them, what grows."""
    rows = {title: _chosen(results["rows"], patterns) for title, patterns in _PANELS.items()}
    rows = {title: chosen for title, chosen in rows.items() if chosen}
    growing = defaultdict(list)
    for series in results["series"]:
        growing[series["against"]].append(series)
    heights = [*(0.9 + 0.42 * len(chosen) for chosen in rows.values()), 3]  # inches
    figure = plt.figure(figsize=(9, sum(heights)), layout="constrained")
    *panels, growth = figure.subfigures(len(heights), 1, height_ratios=heights)
    for panel, (title, chosen) in zip(panels, rows.items(), strict=True):
        _draw_ratios(panel.subplots(), title, chosen)
    if growing:
        _draw_growth(growth, growing)
    figure.savefig(file, dpi=110)


def _chosen(rows: list[dict[str, Any]], patterns: tuple[str, ...]) -> list[dict[str, Any]]:
    """Those with a ratio whose names match; of rows about one thing, each is beside another."""
    return [row for pattern in patterns for row in rows if row["ratio"] and fnmatch(row["what"], pattern)]


def _draw_growth(growth: Any, growing: dict[str, list[dict[str, Any]]]) -> None:
    for axes, (against, lines) in zip(
        growth.subplots(1, len(growing), squeeze=False)[0], growing.items(), strict=True
    ):
        for series, colour in zip(lines, (_OURS, _DENSE), strict=False):
            at, median, low, high = (
                [point[key] for point in series["points"]] for key in ("at", "median", "low", "high")
            )
            axes.plot(at, median, "o-", color=colour, label=series["what"], markersize=4)
            axes.fill_between(at, low, high, color=colour, alpha=0.2)
        axes.set(xscale="log", yscale="log", xlabel=against, ylabel="seconds")
        axes.set_xticks(at, [str(value) for value in at], fontsize=8)
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.tick_params(axis="y", labelsize=8)
        axes.minorticks_off()
        axes.legend(frameon=False, fontsize=8)


def _draw_ratios(axes: Any, title: str, rows: list[dict[str, Any]]) -> None:
    for place, row in enumerate(rows):
        colour = _MISSED if row["met"] is False else _OURS
        axes.plot([row["ratio"], 1], [place, place], color=colour, linewidth=4, alpha=0.5)
        axes.plot([row["ratio"]], [place], "o", color=colour)
        if row["at_most"]:
            axes.plot([row["at_most"]] * 2, [place - 0.4, place + 0.4], color="black", linewidth=2)
    axes.axvline(1, color="grey", linewidth=0.8)
    names = [f"{row['what']}\nbeside {row['against']}" for row in rows]
    axes.set_yticks(range(len(rows)), names, fontsize=8)
    axes.set(xscale="log", xlabel="ours as a fraction of theirs; black: the target, at most")
    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 100 else (1,)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_ylim(len(rows) - 0.4, -0.6)


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
