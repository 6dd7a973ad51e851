"""However a command ends, it says so in one line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from slimserve.export.cli.command_line import run_command
from slimserve.export.cli.progress import progress_bar

from tests.conftest import ROOT

COMMAND = """
import sys
from slimserve.export.cli.command_line import run_command
from slimserve.export.errors import ExportError

def act():
    print("report " * 10_000)
    {then}

sys.exit(run_command(act, undone=lambda: "nothing was published", debug="--debug" in sys.argv))
"""


def run(then: str, *arguments: str, output: Path = Path(os.devnull)) -> tuple[int, list[str]]:
    """Return the exit code and the lines on stderr of a command that prints, and then does something."""
    command = [sys.executable, "-c", COMMAND.format(then=then), *arguments]
    with output.open("w") as stream:
        result = subprocess.run(
            command, cwd=ROOT, stdout=stream, stderr=subprocess.PIPE, text=True, check=False
        )
    return result.returncode, result.stderr.splitlines()


@pytest.mark.parametrize(
    ("then", "code", "line"),
    [
        ("pass", 0, None),
        ("raise ExportError('the checkpoint is damaged')", 1, "error: the checkpoint is damaged"),
        ("raise MemoryError", 1, "error: there is not enough memory"),
        ("open('/proc/self/mem/x')", 1, "error: /proc/self/mem/x: Not a directory"),
        ("raise KeyboardInterrupt", 130, "stopped: nothing was published"),
    ],
)
def test_an_end_is_one_line_and_an_exit_code(then: str, code: int, line: str | None) -> None:
    assert run(then) == (code, [line] if line else [])


def test_a_report_that_cannot_be_written_is_one_line() -> None:
    assert run("pass", output=Path("/dev/full")) == (1, ["error: [Errno 28] No space left on device"])


@pytest.mark.parametrize(("then", "code"), [("pass", 0), ("raise ExportError('damaged')", 1)])
def test_outputs_that_the_parent_closed_change_no_end(then: str, code: int) -> None:
    """As some schedulers start programs; TensorFlow's import writes to a stderr of its own."""
    closed = "import os, subprocess, sys; [os.close(number) for number in (1, 2)]; os.execv(sys.argv[1], sys.argv[1:])"
    act = "from slimserve.export.cli.command_line import import_tensorflow; import_tensorflow(); " + then
    command = [sys.executable, "-c", closed, sys.executable, "-c", COMMAND.format(then=act)]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == code


def test_a_reader_that_has_seen_enough_is_no_error_to_tell() -> None:
    command = [sys.executable, "-c", COMMAND.format(then="pass")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_debug_shows_where() -> None:
    code, lines = run("raise ExportError('the checkpoint is damaged')", "--debug")
    assert code == 1
    assert lines[0] == "Traceback (most recent call last):"


def test_an_interrupt_that_a_destructor_swallows_stops_at_the_next_step(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Dying:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGTERM)

    def act() -> None:
        with progress_bar(enabled=False) as progress:
            progress("first", 0)
            Dying()
            progress("second", 0)
            steps.append("second")

    steps: list[str] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        assert run_command(act, undone=lambda: "nothing was published", debug=False) == 130
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert steps == []
    assert capsys.readouterr().err == "stopped: nothing was published\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_in_code_that_exec_got_as_text_ends_alike(
    number: signal.Signals, tmp_path: Path
) -> None:
    then = f'exec("import os, time; os.kill(os.getpid(), {int(number)}); time.sleep(20)")'
    (tmp_path / "interrupted.py").write_text(COMMAND.format(then=then))
    result = subprocess.run(
        [sys.executable, "-m", "interrupted"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (130, "stopped: nothing was published\n")
