"""A models.config that names /models, served without a container: `up` and the roll-outs use this machine's paths."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from slimserve.serving_config.cli import main
from slimserve.serving_config.server import models_config, translation

from tests.support.recorded import RECORDED
from tests.unit.serving_config.model_server import MODEL_SERVER

AFFINE = RECORDED / "models" / "affine"

CONFIG = """\
model_config_list {
  config {
    name: "affine"
    base_path: "/models/affine"
    model_platform: "tensorflow"
    model_version_policy { specific { versions: 1 } }
    version_labels { key: "stable" value: 1 }
  }
}
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A models.config of a container; the cache folder is the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "deploy" / "models.config"
    path.parent.mkdir()
    path.write_text(CONFIG)
    return path


def test_roll_outs_reach_a_real_server_that_sees_no_models_folder(
    config: Path, serving: Callable, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "tensorflow_model_server"
    program.write_text(MODEL_SERVER)
    program.chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    files = ["--models-config", str(config), "--models-root", str(AFFINE.parent)]
    server = serving("--engine", "binary", "--port", 0, *files, env=env)
    assert server.ready["models"] == {"affine": [1]}, server.stderr()

    assert main(["promote", "2", "--server", server.address, *files]) == 0, capsys.readouterr().err

    assert "affine stable: version 2 (was 1)" in capsys.readouterr().out
    assert 'base_path: "/models/affine"' in config.read_text()
    server.stop()
    assert list((tmp_path / "cache").rglob("paths-*.json")) == []


def test_roll_outs_reach_the_embedded_engine_that_sees_no_models_folder(
    config: Path, start_engine: Callable
) -> None:
    caller = start_engine(models_config.read(config), models_root=AFFINE.parent)
    words = ["--server", caller.address, "--models-config", str(config), "--models-root", str(AFFINE.parent)]
    assert main(["promote", "2", *words]) == 0
    assert (
        caller.predict("affine", [1.0], label="stable").tolist() == caller.predict("affine", [1.0]).tolist()
    )


def test_only_paths_below_models_that_are_not_there_are_translated(config: Path) -> None:
    listed = models_config.read(config)
    there = listed.model_config_list.config.add(name="other", base_path=str(AFFINE))
    listed.model_config_list.config.add(name="remote", base_path="gs://bucket/affine")
    after = models_config.translated(listed, AFFINE.parent).model_config_list.config
    assert [model.base_path for model in after] == [str(AFFINE), there.base_path, "gs://bucket/affine"]


def test_a_note_of_a_process_that_was_killed_is_not_believed(config: Path) -> None:
    with translation.known(8500, AFFINE.parent):
        assert translation.models_root("localhost:8500") == AFFINE.parent
        assert translation.models_root("server.example:8500") is None
        assert translation.models_root("localhost:8501") is None
        (note,) = (config.parent.parent / "cache").rglob("paths-8500.json")
        left = json.loads(note.read_text()) | {"process": 2**22 + 1}  # above the most that Linux gives
    note.write_text(json.dumps(left))
    assert translation.models_root("localhost:8500") is None
