"""The command `slimserve` and the module forms: every verb, and what is said where packages are missing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
from importlib import metadata
from pathlib import Path

import pytest
from slimserve.cli.command import ROOMS, main
from slimserve.serving_config import cli

ROOT = Path(__file__).parents[3]
VERBS = [verb for room in ROOMS for verb in room.verbs]


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds nothing."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder)
    return folder / "bin" / "python"


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command in the checkout to its end."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        [*map(str, command)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([verb, "--help"])
    assert end.value.code == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"usage: slimserve {verb} ")
    assert "python -m" not in printed


@pytest.mark.parametrize("module", ["client", "serving_config"])
def test_the_command_has_every_verb_of_a_room(module: str) -> None:
    usage = run(sys.executable, "-m", module, "--help").stdout
    verbs = re.findall(r"^    ([a-z]+)\s", usage, re.MULTILINE)
    assert verbs
    assert set(verbs) <= set(VERBS)


def test_help_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    listed = re.findall(r"^  ([a-z]+)  ", capsys.readouterr().out, re.MULTILINE)
    assert listed == VERBS


def test_a_word_that_is_no_verb_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["clasify", "cat.jpg"])
    assert end.value.code == 2
    assert "clasify" in capsys.readouterr().err


def test_the_extras_that_help_names_exist(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    named = set(re.findall(r"slimserve\[([a-z-]+)\]", capsys.readouterr().out))
    assert named == {"export", "ops", "engine", "images"}
    assert named <= set(metadata.metadata("slimserve").get_all("Provides-Extra") or [])


def test_the_version_is_stated_once(capsys: pytest.CaptureFixture[str]) -> None:
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"slimserve {version[1]}\n"
    sources = [
        file for room in ("client", "export", "serving_config") for file in (ROOT / room).rglob("*.py")
    ]
    stated = re.compile(rf"['\"]{re.escape(version[1])}['\"]|^__version__", re.MULTILINE)
    assert [file for file in sources if stated.search(file.read_text())] == []


def test_a_bare_python_shows_help_in_a_checkout(bare_python: Path) -> None:
    end = run(bare_python, "-m", "export", "--help")
    assert end.stderr == ""
    assert end.stdout.startswith("usage: python -m export ")


@pytest.mark.parametrize(
    ("command", "missing", "install"),
    [
        ("export --ckpt vgg_16.ckpt", "tensorflow", "'.[export]' in the clone"),
        ("export inspect vgg_16.ckpt", "tensorflow", "'.[export]' in the clone"),
        ("client classify cat.jpg", "grpc", ". in the clone"),
        ("client --help", "grpc", ". in the clone"),
        ("serving_config check", "protobuf", "'.[ops]' in the clone"),
        ("serving_config --help", "grpc", "'.[ops]' in the clone"),
    ],
)
def test_a_bare_python_says_in_a_line_what_to_install(
    bare_python: Path, command: str, missing: str, install: str
) -> None:
    end = run(bare_python, "-m", *command.split())
    assert end.returncode == 1
    assert end.stderr == f"error: {missing} is not installed: pip install {install}\n"


def test_protobuf_is_missed_by_the_name_that_pip_knows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_module(*_: object) -> None:
        raise ModuleNotFoundError(name="google.protobuf")

    monkeypatch.setattr("slimserve.serving_config.cli.importlib.import_module", no_module)
    assert cli.main(["check"]) == 1
    assert capsys.readouterr().err == "error: protobuf is not installed: pip install '.[ops]' in the clone\n"


def test_an_application_gets_the_import_error_itself(bare_python: Path) -> None:
    end = run(bare_python, "-c", "import client")
    assert end.stderr.endswith("ModuleNotFoundError: No module named 'grpc'\n")
