"""How the commands of this package end: exit codes, one line for an error, Ctrl-C."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
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
        sys.stdout.flush()
    except (ExportError, OSError, MemoryError) as error:
        if debug:
            raise
        if not isinstance(error, BrokenPipeError):  # as in `| head`
            print(f"error: {str(error) or 'there is not enough memory'}", file=sys.stderr)
        _give_up_output()
        return 1
    except KeyboardInterrupt:
        print(f"stopped: {undone}", file=sys.stderr)
        return 130
    return 0


def _give_up_output() -> None:
    """What print() still holds may be what cannot be written; Python would try again at exit, and complain."""
    with suppress(OSError):
        sys.stdout.flush()
        return
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _interrupt(signal_number: int, frame: FrameType | None) -> None:
    """End as on Ctrl-C, so that unfinished files are removed."""
    raise KeyboardInterrupt
