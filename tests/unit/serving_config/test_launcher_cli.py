"""The command line as a whole: what it imports, and how it says that something failed."""

import subprocess
import sys
from pathlib import Path

import pytest
from slimserve.serving_config.cli import COMMANDS, main

ROOT = Path(__file__).parents[3]


def python(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_help_does_not_wait_for_tensorflow(command: str) -> None:
    run = python(
        "import sys; from serving_config.cli import main\n"
        f"try: main([{command!r}, '--help'])\n"
        "finally: assert 'tensorflow' not in sys.modules"
    )
    assert run.returncode == 0, run.stderr
    assert f"usage: python -m serving_config {command}" in run.stdout


def test_a_package_that_is_missing_is_one_line() -> None:
    run = python(
        "import sys; sys.modules['rich'] = None\n"
        "from serving_config.cli import main; sys.exit(main(['versions']))"
    )
    assert run.returncode == 1
    assert run.stderr == ("error: rich is not installed: pip install '.[ops]' in the clone\n")


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["up", "--models-config", "nowhere.config", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_no_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([])
    assert caught.value.code == 2
    assert "usage: python -m serving_config" in capsys.readouterr().err


def test_usage_has_the_name_of_the_command_that_calls(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["check", "--help"], prog="slimserve")
    said = capsys.readouterr().out
    assert "usage: slimserve check" in said
    assert "python -m serving_config" not in said


def test_an_option_that_a_command_lacks_is_answered_with_its_usage(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["versions", "--address", "localhost:8500"])
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("usage: python -m serving_config versions")
    assert "--server" in said
    assert said.endswith("unrecognized arguments: --address localhost:8500\n")
