"""How the commands of this package end: exit codes, one line for an error, Ctrl-C."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from types import FrameType

from export.errors import ExportError


def run_command(act: Callable[[], None], *, undone: str, debug: bool) -> int:
    """Run `act` and return the exit code: 0, 1 for an error, 130 for Ctrl-C or SIGTERM.

    Args:
        act: what the command does; it removes what it left unfinished.
        undone: what is told on Ctrl-C, such as "nothing was written".
        debug: let an error through with its traceback.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        act()
    except ExportError as error:
        if debug:
            raise
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"stopped: {undone}", file=sys.stderr)
        return 130
    return 0


def _interrupt(signal_number: int, frame: FrameType | None) -> None:
    """End as on Ctrl-C, so that unfinished files are removed."""
    raise KeyboardInterrupt
