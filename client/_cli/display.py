"""What a person sees: tables and a progress bar, by rich; what a script reads needs neither."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from client import InvalidInput

T = TypeVar("T")


def require_rich() -> None:
    """Raise InvalidInput, naming what to install, when rich is missing."""
    if importlib.util.find_spec("rich") is None:
        raise InvalidInput(
            "the command line needs rich: pip install 'slimserve[images]' (--json goes without)"
        )


def show_json(row: object) -> None:
    """Write one object on one line, at once: a reader behind a pipe sees it."""
    print(json.dumps(row, ensure_ascii=False), flush=True)


def show_table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> None:
    """Print a table; the last column is aligned to the right where it holds numbers."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    listed = [list(row) for row in rows]
    table = Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE, show_header=any(columns)
    )
    for index, column in enumerate(columns):
        numbers = all(row[index].strip("<% ").replace(".", "").isdigit() for row in listed)
        table.add_column(column, justify="right" if numbers and listed else "left")
    for row in listed:
        table.add_row(*map(Text, row))
    Console().print(table)


@contextlib.contextmanager
def progress(items: Iterable[T], total: int, what: str) -> Iterator[Iterator[T]]:
    """Show a bar on stderr while the items pass, if that is a terminal and there is more than one."""
    if total < 2 or not sys.stderr.isatty() or importlib.util.find_spec("rich") is None:
        yield iter(items)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield iter(bar.track(items, total=total))
