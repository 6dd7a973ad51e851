"""Paths on the command line: empty ones are refused, and a ~ that the shell left is the home folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from slimserve.serving_config.cli import main
from slimserve.serving_config.deploy.plan import model


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", ""],
        ["check", "--models-root="],
        ["render", "--out="],
        ["render", "--tls-key="],
        ["certificates", "--out="],
        ["up", "--models-config="],
        ["up", "--ssl-config="],
        ["versions", "--deployment="],
        ["promote", "--tls-ca="],
    ],
)
def test_an_empty_path_is_not_the_working_folder(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "the path is empty: is a variable of the shell not set?" in capsys.readouterr().err


def test_a_tilde_behind_an_equals_sign_is_the_home_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "models" / "1").mkdir(parents=True)
    assert model("vgg=~/models", (1,)).folder == tmp_path / "models"
    assert main(["check", "--models-config=~/models.config"]) == 2
    assert str(tmp_path / "models.config") in capsys.readouterr().err


def test_a_tilde_before_the_name_of_nobody_is_a_part_of_the_path(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["check", "~nobody_here/models.config"]) == 2
    assert "~nobody_here/models.config does not exist" in capsys.readouterr().err
