"""README and docs hold together: what they name exists, and the site builds without a warning."""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import re
import subprocess
import sys
from pathlib import Path

import pytest

from examples.demo import next_steps
from tests.conftest import ROOT
from tests.documentation.pages import BLOCKS, COMMANDS, PAGES, README, VERBS, room_and_verb

# Where the `main` of `python -m ...` is.
MODULES = {
    "export": "slimserve.export.cli",
    "export.demo": "slimserve.export.demo.__main__",
    "client": "slimserve.cli.main",
    "serving_config": "slimserve.serving_config.cli",
}
# Fences whose content is no command.
NO_COMMANDS = {"text", "promql", "python", "json", "javascript"}
# Folders beside the rooms, and those that a command makes.
OUTSIDE = {
    "tests/",
    "benchmarks/",
    "examples/",
    "docs/",
    "installed/",
    "site/",
    "export/",
    "client/",
    "serving_config/",
}
OUTSIDE |= {"tests/contract/recorded/", "variables/"}
# Options in running text that belong to other programs.
FOREIGN = {"--build-context", "--detach", "--wait", "--kustomize"}


@functools.cache
def options(module: str, verb: str) -> frozenset[str]:
    """The options that a command's `--help` names."""
    main = importlib.import_module(MODULES[module]).main
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), pytest.raises(SystemExit):
        main([*([verb] if verb else []), "--help"])
    return frozenset(re.findall(r"(?<![\w-])--?[a-z][a-z0-9-]*", shown.getvalue()))


def of_command(command: str) -> frozenset[str]:
    """The options of the command that is called."""
    return options(*room_and_verb(command))


def used(command: str) -> list[str]:
    """The options that a command uses."""
    return [
        word.partition("=")[0] for word in command.split()[2:] if re.match(r"--?[a-z]", word) and word != "-m"
    ]


@pytest.mark.parametrize("command", dict.fromkeys(c for c in COMMANDS if room_and_verb(c)[0]))
def test_options_of_a_command_exist(command: str) -> None:
    assert [option for option in used(command) if option not in of_command(command)] == []


def test_what_the_demo_says_to_type_next_is_understood() -> None:
    lines = [line.strip() for line in next_steps("localhost:8500").splitlines()]
    typed = [line for line in lines if line.startswith("python -m ")]
    assert len(typed) == 6
    for command in typed:
        assert [option for option in used(command) if option not in of_command(command)] == [], command


def test_options_in_the_text_exist() -> None:
    known = FOREIGN | options("export", "") | options("export.demo", "")
    for room, verbs in VERBS.items():
        for verb in verbs:
            known |= options(room, verb)
    for page in PAGES:
        text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
        spans = re.findall(r"`([^`\n]+)`", text)
        named = {
            option for span in spans for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*(?![\w-])", span)
        }
        assert named - known == set(), page.name


def test_commands_stand_in_console_blocks() -> None:
    assert {block.language for block in BLOCKS} <= NO_COMMANDS | {"console"}
    assert [block for block in BLOCKS if block.language == "console" and "$ " not in block.text] == []


def test_targets_extras_and_files_of_commands_exist() -> None:
    makefile, project = (ROOT / "Makefile").read_text(), (ROOT / "pyproject.toml").read_text()
    for command in COMMANDS:
        for target in re.findall(r"^make ([a-z]+)", command):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), command
        for extras in re.findall(r"'\.\[([a-z,]+)\]'", command):
            for extra in extras.split(","):
                assert re.search(rf"^{extra} = \[", project, re.MULTILINE), command
        for file in re.findall(r"\bserving_config/[\w./-]+|\bconstraints\.txt", command):
            assert (ROOT / file).is_file(), command


@pytest.mark.parametrize("page", (ROOT / "docs" / "building").glob("*.md"), ids=lambda page: page.name)
def test_modules_and_folders_that_a_page_names_exist(page: Path) -> None:
    """Those of the rooms, by the path from the top or from any stage."""
    named = set(re.findall(r"`([a-z_0-9/]+(?:\.py|/))`", page.read_text("utf-8"))) - OUTSIDE
    known = {str(path.relative_to(ROOT)) for room in VERBS for path in (ROOT / room).rglob("*")}
    assert [
        name for name in named if not any(f"/{path}".endswith(f"/{name.strip('/')}") for path in known)
    ] == []


def test_readme_fits_150_lines() -> None:
    assert len(README.read_text("utf-8").splitlines()) <= 150


@pytest.mark.parametrize("page", [README, ROOT / "CHANGELOG.md"], ids=lambda page: page.name)
def test_links_outside_the_site_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_site_builds_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert built.returncode == 0, built.stderr
    assert "classify" in (tmp_path / "site" / "calling" / "reference.html").read_text("utf-8")
