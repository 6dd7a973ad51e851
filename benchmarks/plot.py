"""Draw results.json: python -m benchmarks.plot RESULTS PNG, in the peers' environment, which has matplotlib."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.ticker import LogLocator

_OURS, _DENSE, _MISSED = "#1f6f8b", "#c2703d", "#b3261e"


def draw(results: dict[str, Any], file: Path) -> None:
    """A dot for each ratio, its target as a tick, and below them a panel for each quantity that grows."""
    rows = [row for row in results["rows"] if row["ratio"]]
    panels = defaultdict(list)
    for series in results["series"]:
        panels[series["against"]].append(series)
    heights = [1 + 0.3 * len(rows), 3]  # inches
    figure = plt.figure(figsize=(10, sum(heights)), layout="constrained")
    bars, growth = figure.subfigures(2, 1, height_ratios=heights)
    _draw_ratios(bars.subplots(), rows)
    for axes, (against, lines) in zip(
        growth.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
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
    figure.savefig(file, dpi=100)


def _draw_ratios(axes: Any, rows: list[dict[str, Any]]) -> None:
    for place, row in enumerate(rows):
        colour = _MISSED if row["met"] is False else _OURS
        axes.plot([row["ratio"], 1], [place, place], color=colour, linewidth=4, alpha=0.5)
        axes.plot([row["ratio"]], [place], "o", color=colour)
        if row["at_most"]:
            axes.plot([row["at_most"]] * 2, [place - 0.4, place + 0.4], color="black", linewidth=2)
    axes.axvline(1, color="grey", linewidth=0.8)
    names = [f"{row['what']}\nbeside {row['against']}" for row in rows]
    axes.set_yticks(range(len(rows)), names, fontsize=7)
    axes.set(xscale="log", xlabel="ours as a fraction of theirs; black: the target, at most")
    axes.set_ylim(len(rows) - 0.4, -0.6)


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
