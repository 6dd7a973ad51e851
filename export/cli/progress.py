"""The bar that moves while a command works."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from ..types import Progress
from .command_line import stop_if_interrupted


@contextmanager
def progress_bar(enabled: bool) -> Iterator[Progress]:
    """Show a bar on stderr; yield the function that moves it, or stops the command where Ctrl-C got lost.

    Steps that can't be measured pulse.
    """
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description:<22}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
    )
    with Bar(
        *columns, console=console, transient=True, disable=not enabled or not console.is_terminal
    ) as bar:
        tasks: dict[str, Any] = {}

        def move(step: str, fraction: float) -> None:
            stop_if_interrupted()
            if step not in tasks:
                tasks[step] = bar.add_task(step, total=None)
            if fraction > 0:
                bar.update(tasks[step], total=1.0, completed=fraction)

        yield move
