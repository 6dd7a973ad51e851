"""How the commands of this room begin and end: TensorFlow's import, exit codes, Ctrl-C."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType

from ..errors import ExportError

SERVE_COMMAND = "slimserve up" if __package__.startswith("slimserve") else "python -m serving_config up"
"""What serves an export: where slimserve is installed, and in a checkout."""

_interrupts: list[int] = []  # signals that came while a command ran


class _Interrupted(KeyboardInterrupt):
    """What a signal raises.

    After a plain KeyboardInterrupt in code that `exec` got as text, which makes dataclasses and named tuples at every
    import, `python -m` dies of SIGINT whatever exit code is asked for.
    """


def import_tensorflow() -> None:
    """Import TensorFlow and tf-slim; a user who sets TF_CPP_MIN_LOG_LEVEL sees their messages."""
    wanted = "TF_CPP_MIN_LOG_LEVEL" in os.environ
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Keras comes along: it would obey what its user set for other projects, and write to his home or to /tmp.
    os.environ |= {"KERAS_HOME": os.devnull, "KERAS_BACKEND": "tensorflow"}
    # All this lives until the end: to find that out, garbage collections would take a fifth of the import, and 0.2 s
    # each later.
    gc.disable()
    try:
        with _stderr_kept(wanted):
            import tensorflow as tf
            import tf_slim  # noqa: F401
    finally:
        gc.enable()
    gc.freeze()
    if not wanted:
        tf.get_logger().setLevel("ERROR")
    # On a GPU its 10-bit mantissas would pass for an error of the export.
    tf.config.experimental.enable_tensor_float_32_execution(False)


@contextmanager
def _stderr_kept(kept: bool) -> Iterator[None]:
    """Send file descriptor 2, to which C++ writes, to nowhere unless `kept`."""
    if kept or not sys.stderr:
        yield
        return
    sys.stderr.flush()
    saved = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


def run_command(act: Callable[[], None], *, undone: Callable[[], str], debug: bool) -> int:
    """Run `act` and return the exit code: 0, 1 for an error, 130 for Ctrl-C or SIGTERM.

    Args:
        act: what the command does; it removes what it left unfinished.
        undone: returns what is told on Ctrl-C, such as "nothing was written".
        debug: let an error through with its traceback.
    """
    _interrupts.clear()
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    try:
        with _quiet_where_interrupts_get_lost():
            act()
        if sys.stdout:  # none where the parent closed it
            sys.stdout.flush()
    except (ExportError, OSError, MemoryError, ModuleNotFoundError) as error:
        if debug:
            raise
        if not isinstance(error, BrokenPipeError):  # as in `| head`
            print(f"error: {_line(error)}", file=sys.stderr)
        _give_up_output()
        return 1
    except KeyboardInterrupt:
        print(f"stopped: {undone()}", file=sys.stderr)
        return 130
    return 0


def _line(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"{error.name} is not installed: pip install '.[export]' in the clone"
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error) or "there is not enough memory"


def _give_up_output() -> None:
    """What print() still holds may be what cannot be written; Python would try again at exit, and complain."""
    with suppress(OSError):
        if sys.stdout:
            sys.stdout.flush()
        return
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def stop_if_interrupted() -> None:
    """Raise KeyboardInterrupt once more where it got lost: a destructor or C code that calls Python may swallow it."""
    if _interrupts:
        raise _Interrupted


@contextmanager
def _quiet_where_interrupts_get_lost() -> Iterator[None]:
    """Who swallows an exception prints it, through one of two hooks; an interrupt is told of when the command stops."""
    hooks = sys.excepthook, sys.unraisablehook

    def tell(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        if not _is_interrupt(error):
            hooks[0](kind, error, traceback)

    def tell_unraisable(what: sys.UnraisableHookArgs) -> None:
        if not _is_interrupt(what.exc_value):
            hooks[1](what)

    sys.excepthook, sys.unraisablehook = tell, tell_unraisable
    try:
        yield
    finally:
        sys.excepthook, sys.unraisablehook = hooks


def _is_interrupt(error: BaseException | None) -> bool:
    """Or a SystemError that comes of one."""
    return error is not None and isinstance(error.__cause__ or error, KeyboardInterrupt)


def _interrupt(signal_number: int, frame: FrameType | None) -> None:
    """End as on Ctrl-C, so that unfinished files are removed."""
    _interrupts.append(signal_number)
    raise _Interrupted
