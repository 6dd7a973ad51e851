"""Roll-out commands against a file that someone else changes, and against a server that is not the file's."""

import errno
import fcntl
import json
import os
import subprocess
import sys

import pytest
from google.protobuf import text_format
from slimserve.serving_config.rollout.config_file import locked
from slimserve.serving_config.server import models_config
from slimserve.serving_config.server.api import ModelService

from tests.unit.serving_config.engine_calls import listing
from tests.unit.serving_config.rollout_deployment import Deployment, Start, error_line

BEFORE = {"stable": 1, "canary": 1}


def test_a_command_waits_for_the_one_before_and_says_so(deployment: Deployment) -> None:
    command = [sys.executable, "-m", "serving_config", *deployment.command("promote", 2)]
    with locked(deployment.file):
        second = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        assert second.stderr
        assert second.stderr.readline() == f"waiting for another command that is changing {deployment.file}\n"
        assert deployment.labels() == BEFORE
    assert second.communicate() == (None, "")
    assert second.returncode == 0
    assert deployment.labels()["stable"] == 2


def test_a_file_changed_while_a_version_loads_is_neither_overwritten_nor_sent(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wait_available = ModelService.wait_available

    def edited(self: ModelService, *arguments: object) -> None:
        wait_available(self, *arguments)  # type: ignore[arg-type]
        with deployment.file.open("a") as file:
            file.write("# theirs\n")

    monkeypatch.setattr(ModelService, "wait_available", edited)
    assert deployment.run("promote", 2) == 1
    assert "models.config was changed by someone else in the meantime" in error_line(capsys)
    assert deployment.file.read_text().endswith("# theirs\n")
    assert deployment.labels() == BEFORE
    assert deployment.answer("stable") == [3.0]


def test_a_command_that_met_a_changed_file_can_be_repeated(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(
            ModelService, "wait_available", lambda *_: deployment.file.open("a").write("# theirs\n")
        )
        assert deployment.run("promote", 2) == 1
    assert deployment.run("promote", 2) == 0
    assert deployment.labels()["stable"] == 2


def test_a_file_system_that_locks_no_folders_is_no_obstacle(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(descriptor: int, operation: int) -> None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))  # as NFS says of a folder

    monkeypatch.setattr(fcntl, "flock", no_locks)
    assert deployment.run("promote", 2) == 0


def test_a_folder_that_cannot_be_written_is_refused_before_anything_moves(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write to every folder
    assert deployment.run("promote", 2) == 1
    assert error_line(capsys).endswith("its folder is not writable: nothing has been changed")
    assert deployment.answer("stable") == [3.0]


def test_a_server_that_was_started_without_the_file_is_left_alone(
    deployment: Deployment, start_engine: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    config = listing(deployment.base_path, policy="all")
    config.model_config_list.config.add().CopyFrom(config.model_config_list.config[0])
    config.model_config_list.config[1].name = "not in the file"
    caller = start_engine(config)
    deployment.address = caller.address
    assert deployment.run("promote", 2) == 1
    shown = error_line(capsys)
    assert (
        f"models.config does not describe the server at {caller.address}: label canary of affine is missing"
        in shown
    )
    assert "--models-config" in shown
    assert caller.predict("not in the file", [1.0]).tolist() == [5.0]


def test_a_file_that_lists_a_model_which_the_server_does_not_know_is_not_sent(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    config = models_config.read(deployment.file)
    config.model_config_list.config.add().CopyFrom(config.model_config_list.config[0])
    config.model_config_list.config[1].name = "other"
    deployment.file.write_text(text_format.MessageToString(config))
    assert deployment.run("promote", 2, "--model", "affine") == 1
    assert "the server has no model other" in error_line(capsys)
    assert deployment.caller.states("affine") == {1: "AVAILABLE"}


def test_a_file_that_lists_a_version_which_is_not_available_is_not_sent(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    text = text_format.MessageToString(listing(deployment.base_path, 1, 3, labels=BEFORE))
    deployment.file.write_text(text)
    assert deployment.run("promote", 2) == 1
    assert "affine version 3 is not AVAILABLE there (never seen)" in error_line(capsys)
    assert deployment.caller.states("affine") == {1: "AVAILABLE"}


class TestMovedFromElsewhere:
    """The server's labels have moved on, and the file has not."""

    @pytest.fixture(autouse=True)
    def moved(self, deployment: Deployment) -> None:
        deployment.caller.reload(listing(deployment.base_path, 1, 2, labels=BEFORE))
        deployment.caller.wait_for("affine", {2: "AVAILABLE", 1: "AVAILABLE"})
        labels = {"stable": 2, "canary": 2, "previous": 1}
        deployment.caller.reload(listing(deployment.base_path, 1, 2, labels=labels))

    def test_another_command_does_not_move_them_back(
        self, deployment: Deployment, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert deployment.run("canary", 3) == 1
        assert "label canary of affine is on version 2 there, and on version 1 in the file" in error_line(
            capsys
        )
        assert deployment.answer("stable") == [4.0]

    def test_the_same_command_puts_the_file_right(self, deployment: Deployment) -> None:
        assert deployment.run("promote", 2) == 0
        assert deployment.labels() == {"stable": 2, "canary": 2, "previous": 1}
        assert deployment.listed() == [1, 2]


def test_versions_tells_labels_of_the_file_from_those_of_the_server(
    deployment: Deployment, start_engine: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    deployment.address = start_engine(listing(deployment.base_path, 1)).address
    assert deployment.run("versions", "--json") == 0
    row = json.loads(capsys.readouterr().out)["versions"][-1]
    assert (row["version"], row["labels"], row["labels_in_file_only"]) == (1, [], ["canary", "stable"])
    assert deployment.run("versions") == 0
    assert "(file only)" in capsys.readouterr().out
