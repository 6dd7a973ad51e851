"""What a person sees: tables and progress bars, by rich; what a script reads needs neither."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from .. import InvalidInput

if TYPE_CHECKING:
    import rich.progress

T = TypeVar("T")


def require_rich() -> None:
    """Raise InvalidInput, naming what to install, when rich is missing."""
    if importlib.util.find_spec("rich") is None:
        raise InvalidInput(
            "the command line needs rich: pip install '.[images]' in the clone (--json goes without)"
        )


def show_json(row: object) -> None:
    """Write one object on one line, at once: a reader behind a pipe sees it."""
    row = _finite(row)
    line = json.dumps(row, ensure_ascii=False)
    try:
        line.encode(sys.stdout.encoding)
    except UnicodeEncodeError:  # a file name need not be text
        line = json.dumps(row)
    print(line, flush=True)


def _finite(value: object) -> object:
    """Put null for numbers that JSON lacks: NaN and the infinities."""
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def show_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *title: str) -> None:
    """Print a table under the lines of its title; a column is aligned to the right where it holds numbers."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    listed = [list(row) for row in rows]
    table = Table(
        title=Text("\n".join(map(_printable, title))) if title else None,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE,
        show_header=any(columns),
    )
    for index, column in enumerate(columns):
        numbers = all(row[index].strip("<% ").replace(".", "").isdigit() for row in listed)
        table.add_column(column, justify="right" if numbers and listed else "left")
    for row in listed:
        table.add_row(*(Text(_printable(cell)) for cell in row))
    Console().print(table)


def show_line(text: str) -> None:
    """Print a line at once: a reader behind a pipe sees it."""
    print(_printable(text), flush=True)


def _printable(text: str) -> str:
    """Write control characters, which a file's or a class's name may hold, as escapes: a terminal obeys them."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda match: repr(match[0])[1:-1], text)


class Bars:
    """Progress on stderr: a bar over several items, and one for each item that has parts; without rich, none."""

    def __init__(self, progress: rich.progress.Progress | None) -> None:
        self._progress = progress

    def over(self, items: Iterable[T], total: int, what: str) -> Iterator[T]:
        """Show a bar while the items pass, if there is more than one."""
        if self._progress is None or total < 2:
            return iter(items)
        return iter(self._progress.track(items, total=total, description=what))

    def of_parts(self, what: str) -> Callable[[int, int], None]:
        """Give a function of the parts done and all parts, which shows them while there are some to do."""
        tasks: list[rich.progress.TaskID] = []

        def show(done: int, total: int) -> None:
            if self._progress is None:
                return
            if not tasks:
                tasks.append(self._progress.add_task(what, total=total))
            self._progress.update(tasks[0], completed=done)
            if done == total:
                self._progress.remove_task(tasks.pop())

        return show


@contextlib.contextmanager
def progress(*, as_json: bool) -> Iterator[Bars]:
    """Make room for bars on stderr, if that is a terminal, and not the one that lines of JSON pass on."""
    on_screen = sys.stdout.isatty()
    if not sys.stderr.isatty() or (as_json and on_screen) or importlib.util.find_spec("rich") is None:
        yield Bars(None)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    # Lines on the bars' terminal have to pass above them; those in a file or a pipe have to stay there.
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, redirect_stdout=on_screen) as bar:
        yield Bars(bar)


def show_notes(*notes: str) -> None:
    """Write what the caller should know beside the results, a line each, to stderr; empty ones are none."""
    for note in filter(None, notes):
        print(_printable(note), file=sys.stderr)
