"""The names of published checkpoints on the command line: `fetch`, and `--ckpt` where no file is called so."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from slimserve.export import cli
from slimserve.export.checkpoint.published.table import PUBLISHED, find_published
from slimserve.export.cli import fetching
from slimserve.export.errors import ExportError
from slimserve.export.networks import NETWORKS

from tests.unit.export.archive_host import CONTENT, FILE, NAME, Host, fetched

Call = Callable[..., "CompletedProcess[str]"]


def test_the_command_fetches_and_says_what_comes_next(host: Host, tmp_path: Path, call: Call) -> None:
    result = call(cli.main, "fetch", NAME, "--into", tmp_path, "--mirror", host.address)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"{tmp_path / FILE}\nnext: python -m export --ckpt {tmp_path / FILE}\n"
    assert json.loads((tmp_path / f"{FILE}.fetched.json").read_text())["bytes"] == len(CONTENT)


def test_an_unknown_name_is_answered_with_those_near(call: Call) -> None:
    result = call(cli.main, "fetch", "vgg16")
    assert result.returncode == 1
    assert "no published checkpoint is called 'vgg16': did you mean vgg_16 or" in result.stderr


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--into", "file", "cannot make the folder file: File exists: choose another with --into"),
        (
            "--mirror",
            "mirror.example.org",
            "must start with https:// or http://, not mirror.example.org: --mirror",
        ),
        ("--mirror", "ftp://mirror.example.org", "must start with https:// or http://"),
    ],
)
def test_a_place_that_can_be_none_is_told(
    option: str, value: str, words: str, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    result = call(cli.main, "fetch", NAME, option, value)
    assert result.returncode == 1
    assert words in result.stderr


@pytest.mark.parametrize("arguments", [[], ["vgg_16", "--list"]])
def test_a_name_or_the_list_is_asked_for(arguments: list[str], call: Call) -> None:
    with pytest.raises(SystemExit) as caught:
        call(cli.main, "fetch", *arguments)
    assert caught.value.code == 2


def test_the_list_has_every_network_and_says_which_are_not_exported(call: Call) -> None:
    lines = call(cli.main, "fetch", "--list").stdout.splitlines()
    assert len(lines) == len(PUBLISHED)
    for line in lines:
        network = find_published(line.split()[0]).network
        exported = any(name.startswith(network) for name in NETWORKS)
        assert ("does not export" in line) != exported


class Terminal(io.StringIO):
    """A stream that says it is one."""

    def isatty(self) -> bool:
        return True


class TestNamesGivenToCkpt:
    @pytest.fixture(autouse=True)
    def _here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)

    @pytest.mark.parametrize("file", ["vgg_16", "vgg_16.ckpt", "vgg_16.index", "vgg_16-3000.index"])
    def test_files_come_first(self, file: str) -> None:
        Path(file).touch()
        assert fetching.checkpoint_named(NAME, "python -m export") == NAME

    def test_other_names_are_paths(self) -> None:
        assert fetching.checkpoint_named("no/such.ckpt", "python -m export") == "no/such.ckpt"

    def test_what_was_fetched_is_taken(self) -> None:
        (fetching.FOLDER).mkdir()
        (fetching.FOLDER / FILE).touch()
        assert fetching.checkpoint_named(NAME, "python -m export") == f"checkpoints/{FILE}"

    def test_without_a_terminal_nothing_is_fetched(self, call: Call) -> None:
        result = call(cli.main, "--ckpt", NAME)
        assert result.returncode == 1
        assert result.stderr == (
            "error: no file is called vgg_16, but a published checkpoint is: `python -m export fetch vgg_16` brings "
            "it; then give that name again\n"
        )

    @pytest.mark.parametrize("given", ["VGG_16", "vgg16"])
    def test_a_name_that_is_nearly_published_is_told(self, given: str, call: Call) -> None:
        result = call(cli.main, "--ckpt", given)
        assert result.returncode == 1
        assert result.stderr == (
            f"error: no file is called {given}; a published checkpoint is called vgg_16: "
            "`python -m export fetch vgg_16` brings it\n"
        )

    def test_inspect_takes_such_names_too(self, call: Call) -> None:
        result = call(cli.main, "inspect", NAME)
        assert "`python -m export fetch vgg_16` brings it" in result.stderr

    @pytest.mark.parametrize(("answer", "wanted"), [("y\n", True), ("\n", False), ("n\n", False)])
    def test_on_a_terminal_the_user_is_asked(
        self, answer: str, wanted: bool, host: Host, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = Terminal()
        monkeypatch.setattr(fetching, "_fetched", lambda published, folder: fetched(host, folder))
        monkeypatch.setattr("sys.stdin", Terminal(answer))
        monkeypatch.setattr("sys.stderr", asked)
        if wanted:
            assert fetching.checkpoint_named(NAME, "python -m export") == f"checkpoints/{FILE}"
        else:
            with pytest.raises(ExportError, match="nothing was fetched: `python -m export fetch vgg_16`"):
                fetching.checkpoint_named(NAME, "python -m export")
        assert PUBLISHED[NAME].address() in asked.getvalue()
        assert asked.getvalue().endswith("[y/N] ")
        assert bool(host.asked) == wanted
