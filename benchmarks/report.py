"""What a run found, as tables."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.rows import Row, Series, fraction


def print_table(found: Sequence[Row | Series]) -> None:
    """Print rows with their ratios first, then each series."""
    console = Console() if sys.stdout.isatty() else Console(width=180)
    rows = [entry for entry in found if isinstance(entry, Row)]
    if rows:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for name in ("ratio", "target", ""):
            table.add_column(name, no_wrap=True)
        for name in ("what", "ours", "against", "theirs"):
            table.add_column(name)
        for row in rows:
            verdict = {None: "", True: "[green]met[/]", False: "[red]missed[/]"}[row.met]
            ratio = "" if row.ratio is None else fraction(row.ratio)
            target = f"at most {fraction(row.at_most)}" if row.at_most else ""
            table.add_row(
                ratio,
                target,
                verdict,
                row.what,
                str(row.ours or row.note or "not available"),
                row.against,
                str(row.theirs or "not available"),
            )
        console.print(table)
        console.print("ours as a fraction of theirs; medians, first to third quartile in brackets")
        for row in rows:
            if row.note and row.ours:
                console.print(f"{row.what}: {row.note}", highlight=False, markup=False)
    for series in (entry for entry in found if isinstance(entry, Series)):
        table = Table(series.against, series.what, box=box.SIMPLE_HEAD)
        for at, figure in series.points:
            table.add_row(str(at), str(figure))
        console.print(table)
