"""What an operator wrote by hand into a deployment's folder: none of it is lost, or forgotten, without a word."""

import json
from pathlib import Path

import pytest
from slimserve.serving_config.check.inspection import inspect
from slimserve.serving_config.cli import main

from tests.unit.serving_config.rendered import add_version, tree, written

NEW = ["render", "--model", "vgg_16=models/vgg_16", "--versions", "1", "--for", "docker", "kubernetes"]
STATE, MODELS = Path("deploy/slimserve.yaml"), Path("deploy/models.config")


@pytest.fixture(autouse=True)
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    for version in (1, 2):
        add_version("vgg_16", version)
    assert main(NEW) == 0
    capsys.readouterr()


def edit(path: Path, old: str, new: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))


def faults() -> list[str]:
    return [
        f"{finding.path.name}: {finding.message}" for finding in inspect([Path("deploy")], None, []).findings
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"/models/vgg_16"', '"gs://models/vgg_16"'),
        ('"canary" value: 1', '"trial" value: 1'),
    ],
    ids=["a path", "a label"],
)
def test_a_setting_in_models_config_is_not_overwritten(
    old: str, new: str, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(MODELS, old, new)
    assert faults() == ["models.config: it says something else than slimserve.yaml"]
    assert main(["render", "--cpu", "4", "--yes"]) == 1
    assert "--force overwrites models.config" in capsys.readouterr().err
    assert new in MODELS.read_text()


def test_comments_in_both_files_stay_and_are_no_fault() -> None:
    edit(MODELS, "# What", "# Ask Ann\n# What")
    edit(STATE, "replicas: 2", "replicas: 2  # lunch")
    assert faults() == []
    assert main(["render", "--cpu", "4", "--yes"]) == 0
    assert "# Ask Ann" in MODELS.read_text()
    assert "# lunch" in STATE.read_text()


def test_a_new_patch_waits_for_a_rendering() -> None:
    Path("deploy/patches").mkdir()
    Path("deploy/patches/a.yaml").write_text(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: serving}\n"
    )
    assert faults() == ["a.yaml: it is no part of the kustomization yet"]
    assert main(["render", "--yes"]) == 0
    assert faults() == []


def test_line_ends_of_windows_are_no_change() -> None:
    for path in Path("deploy").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert faults() == []
    assert main(["render", "--replicas", "3", "--yes"]) == 0


@pytest.mark.parametrize("record", [None, "{", '{"files": [], "plan": 5}', "[]"])
def test_without_the_record_nothing_is_overwritten(
    record: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path("deploy/.rendered.json")
    path.unlink() if record is None else path.write_text(record)
    result = inspect([Path("deploy")], None, [])
    assert result.findings == []
    assert "whether the files beside it are as they were rendered is not known" in result.notes[0]
    before = written("deploy")
    assert main(["render", "--replicas", "1", "--yes"]) == 1
    assert ".rendered.json is not there or not readable" in capsys.readouterr().err
    assert written("deploy") == before


def test_a_record_of_an_older_version_will_do() -> None:
    path = Path("deploy/.rendered.json")
    record = json.loads(path.read_text())
    del record["meanings"], record["plan"]["targets"]
    path.write_text(json.dumps(record))
    assert faults() == []
    assert main(["render", "--cpu", "4", "--yes"]) == 0


def test_files_of_a_whole_target_do_not_go_without_force(capsys: pytest.CaptureFixture[str]) -> None:
    edit(STATE, "targets: [docker, kubernetes]", "targets: [docker]")
    assert main(["render", "--yes"]) == 1
    assert "this would lose something: the files for kubernetes" in capsys.readouterr().err
    assert Path("deploy/kubernetes/deployment.yaml").is_file()


def test_a_link_stays_one() -> None:
    STATE.rename("real.yaml")
    STATE.symlink_to("../real.yaml")
    assert main(["render", "--cpu", "4", "--yes"]) == 0
    assert STATE.is_symlink()
    assert tree("real.yaml")["cpu"] == "4"


def test_an_empty_state_is_a_fault(capsys: pytest.CaptureFixture[str]) -> None:
    STATE.write_text("")
    assert faults() == ["slimserve.yaml: it states nothing"]
    assert main(["render", "--cpu", "4", "--yes"]) == 1
    assert "slimserve.yaml states nothing: bring it back" in capsys.readouterr().err


def test_a_folder_that_is_not_here_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    Path("models").rename("elsewhere")
    main(["render", "--cpu", "4", "--yes"])
    assert "models/vgg_16, the folder of vgg_16, is not on this machine" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("replicas: 2", "replicas: 0", "replicas: 0 is less than the minimum of 1"),
        ('cpu: "2"', "cpu: 2 cores", "cpu is '2 cores', write it such as 2 or 500m"),
        ('cpu: "2"', 'cpu: "2"\nmemory: 6GB', "memory is '6GB', write it such as 6Gi"),
        ('cpu: "2"', 'cpu: "2"\nmemory: 6', "memory is 6, give it text"),
        ("name: serving", "name: Serving", "name is 'Serving', write it such as serving"),
        ("versions: [1]", "versions: 1", "models.vgg_16.versions is 1, give it a list"),
        ("[docker, kubernetes]", "[docker, kubernets]", "targets.1 is 'kubernets', did you mean kubernetes?"),
        ("replicas: 2", "replicas: 2\nreplica: 2", "the file has no field replica, did you mean replicas?"),
    ],
)
def test_a_wrong_value_is_found_by_both_commands_on_its_line(
    old: str, new: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(STATE, old, new)
    line = 1 + next(i for i, text in enumerate(STATE.read_text().splitlines()) if new.split("\n")[-1] in text)
    assert main(["check", "deploy"]) == 1
    assert f"slimserve.yaml:{line}: {message}" in capsys.readouterr().out
    assert main(["render", "--yes"]) == 1
    assert f"slimserve.yaml:{line}: {message}" in capsys.readouterr().err


def test_the_version_that_is_stable_does_not_go_without_force(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", "--versions", "2", "--yes"]) == 1
    assert "version 1 of vgg_16, which is stable: callers of it would get 2" in capsys.readouterr().err
    assert main(["render", "--versions", "1,2", "--yes"]) == 0
