"""What `up` finds in models/, beside what it cannot read there."""

from pathlib import Path

import pytest
from slimserve.serving_config.cli import main
from slimserve.serving_config.errors import ServingConfigError
from slimserve.serving_config.server import models_config


@pytest.fixture
def models(tmp_path: Path) -> Path:
    (tmp_path / "models/m/1").mkdir(parents=True)
    return tmp_path / "models"


def test_a_link_that_leads_nowhere_is_skipped_and_named(
    models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (models / "old").symlink_to(models / "gone")
    assert models_config.discover(models) == [("m", models / "m")]
    assert capsys.readouterr().err == f"note: {models / 'old'} is not served: No such file or directory\n"


def test_a_folder_that_cannot_be_read_is_skipped_and_named(
    models: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (models / "private").mkdir()
    folders = models_config.version_folders

    def denied(folder: Path) -> dict[int, Path]:
        if folder.name == "private":
            raise PermissionError(13, "Permission denied")
        return folders(folder)

    monkeypatch.setattr(models_config, "version_folders", denied)
    assert models_config.discover(models) == [("m", models / "m")]
    assert capsys.readouterr().err == f"note: {models / 'private'} is not served: Permission denied\n"


def test_a_link_alone_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models/old").symlink_to(tmp_path / "gone")
    with pytest.raises(ServingConfigError, match="no model with a numbered version in it"):
        models_config.discover(tmp_path / "models")


def test_models_lie_below_the_root_that_is_given(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["up", f"--models-root={models / 'm'}", "--engine", "embedded", "--print-command"]) == 1
    assert f"{models / 'm'}: no model with a numbered version in it" in capsys.readouterr().err
