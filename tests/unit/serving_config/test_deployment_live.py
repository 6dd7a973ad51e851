"""Roll-outs of a rendered deployment whose server runs: the server, models.config and slimserve.yaml say the same."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from slimserve.serving_config.cli import main
from slimserve.serving_config.server import models_config

from tests.unit.serving_config.engine_calls import AFFINE, Caller
from tests.unit.serving_config.rendered import tree, written


@pytest.fixture
def caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start_engine: Callable[..., Caller]) -> Caller:
    """deploy/ for one machine, and the server that runs from it."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(AFFINE, "models/affine")
    assert main(["render", "--model", "affine=models/affine", "--versions", "1", "--for", "docker"]) == 0
    return start_engine(models_config.read(Path("deploy/models.config")), models_root=tmp_path / "models")


def labels() -> list[dict[str, int]]:
    """As models.config and slimserve.yaml have them."""
    (model,) = models_config.read(Path("deploy/models.config")).model_config_list.config
    return [dict(model.version_labels), tree("deploy/slimserve.yaml")["models"]["affine"]["labels"]]


def test_server_and_files_move_together(caller: Caller) -> None:
    def answer(label: str) -> list[float]:
        return caller.predict("affine", [1.0], label=label).tolist()

    first = answer("stable")
    for words, wanted in (
        (["canary", "2"], {"stable": 1, "canary": 2}),
        (["promote", "2"], {"stable": 2, "canary": 2, "previous": 1}),
        (["rollback"], {"stable": 1, "canary": 1, "previous": 2}),
    ):
        assert main([*words, "--server", caller.address, "--yes"]) == 0
        assert labels() == [wanted, wanted]
        assert (answer("stable") == first) is (wanted["stable"] == 1)
    assert main(["versions", "--server", caller.address]) == 0


def test_a_version_that_does_not_load_leaves_the_files_as_they_are(
    caller: Caller, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("models/affine/2/saved_model.pb").write_bytes(b"\x00")
    before = written("deploy")
    assert main(["canary", "2", "--server", caller.address, "--yes"]) == 1
    assert "affine version 2 does not load" in capsys.readouterr().err
    assert written("deploy") == before
