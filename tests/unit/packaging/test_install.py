"""Installed into an empty environment, without a network: the oldest and the newest of every dependency."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.unit.packaging.conftest import HERE, Answers, environment, install, run, same_answers

NOT_NEEDED = ("tensorflow", "tensorflow_serving", "tf_slim", "PIL", "rich")


@pytest.fixture(scope="module")
def newest(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with slimserve without extras, and the versions in constraints.txt."""
    python = environment(tmp_path_factory.mktemp("newest"))
    install(python, "-c", ROOT / "constraints.txt", wheel)
    return python


@pytest.fixture(scope="module")
def oldest(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with the oldest versions."""
    python = environment(tmp_path_factory.mktemp("oldest"))
    install(python, "-c", HERE / "oldest.txt", wheel)
    return python


@pytest.mark.parametrize("versions", ["oldest", "newest"])
def test_every_call_answers_as_here(
    versions: str,
    request: pytest.FixtureRequest,
    server: str,
    image: Path,
    expected: Answers,
    tmp_path: Path,
) -> None:
    (tmp_path / "client.py").write_text("raise SystemExit('the application has a module of this name')")
    same_answers(request.getfixturevalue(versions), server, image, expected, tmp_path)


@pytest.mark.parametrize("versions", ["oldest", "newest"])
def test_nothing_more_is_installed_than_the_client_needs(
    versions: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    script = f"import importlib.util as u; print([n for n in {NOT_NEEDED} if u.find_spec(n)])"
    assert run(request.getfixturevalue(versions), "-c", script, cwd=tmp_path).stdout == "[]\n"


def test_the_command_answers_json(newest: Path, server: str, image: Path, tmp_path: Path) -> None:
    command = newest.with_name("slimserve")
    answer = run(command, "classify", image, "--server", server, "--model", "small", "--json", cwd=tmp_path)
    assert json.loads(answer.stdout)["predictions"]


def test_a_file_that_the_client_has_to_decode_needs_pillow(
    newest: Path, server: str, image: Path, tmp_path: Path
) -> None:
    script = f"from slimserve import Client; Client({server!r}, model='small').analyze({str(image)!r})"
    end = run(newest, "-c", script, cwd=tmp_path, expected=1)
    assert f"decoding {image} needs Pillow: pip install '.[images]' in the clone" in end.stderr


def test_what_needs_pillow_says_so(newest: Path, server: str, image: Path, tmp_path: Path) -> None:
    verb = ("segment", image, "-o", tmp_path, "--server", server, "--model", "small")
    end = run(newest, "-m", "slimserve", *verb, cwd=tmp_path, expected=1)
    assert "pip install '.[images]' in the clone" in end.stderr
    assert len(end.stderr.splitlines()) == 1


@pytest.mark.parametrize("form", [["slimserve", "export"], ["python", "-m", "export"]])
def test_an_export_without_its_extra_says_what_to_install(
    form: list[str], newest: Path, tmp_path: Path
) -> None:
    command = [newest.with_name(form[0]), *form[1:]]
    assert run(*command, "--help", cwd=tmp_path).stdout.startswith(f"usage: {' '.join(form)} ")
    end = run(*command, "--ckpt", "vgg_16.ckpt", cwd=tmp_path, expected=1)
    assert end.stderr == "error: tensorflow is not installed: pip install '.[export]' in the clone\n"
