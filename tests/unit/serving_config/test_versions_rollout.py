"""`versions`, `promote`, `canary` and `rollback` against an engine, and the models.config they keep in step."""

import json

import grpc
import pytest
from google.protobuf import text_format
from slimserve.serving_config.server import models_config

from tests.unit.serving_config.rollout_deployment import Deployment, Start, error_line


def test_promote_loads_the_version_moves_stable_and_keeps_the_one_before(deployment: Deployment) -> None:
    assert deployment.run("promote", 2) == 0
    assert deployment.answer("stable") == [4.0]
    assert deployment.answer("previous") == [3.0]
    assert deployment.labels() == {"stable": 2, "canary": 2, "previous": 1}
    assert deployment.listed() == [1, 2]


def test_promoting_twice_lets_go_of_the_first_version(deployment: Deployment) -> None:
    assert deployment.run("promote", 2) == 0
    assert deployment.run("promote", 3) == 0
    deployment.caller.wait_for("affine", {3: "AVAILABLE", 2: "AVAILABLE", 1: "END"})
    assert deployment.labels() == {"stable": 3, "canary": 3, "previous": 2}
    assert deployment.listed() == [2, 3]


def test_rollback_returns_stable_to_the_version_before(deployment: Deployment) -> None:
    deployment.run("promote", 2)
    assert deployment.run("rollback") == 0
    assert deployment.answer("stable") == [3.0]
    assert deployment.labels() == {"stable": 1, "canary": 1, "previous": 2}


def test_a_second_rollback_undoes_the_first(deployment: Deployment) -> None:
    deployment.run("promote", 2)
    deployment.run("rollback")
    assert deployment.run("rollback") == 0
    assert deployment.answer("stable") == [4.0]


def test_rollback_before_any_promotion_is_refused(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deployment.run("rollback") == 1
    assert "no version was stable before this one" in error_line(capsys)


def test_canary_leaves_stable_where_it_is(deployment: Deployment) -> None:
    assert deployment.run("canary", 2) == 0
    assert deployment.answer("canary") == [4.0]
    assert deployment.answer("stable") == [3.0]
    assert deployment.labels() == {"stable": 1, "canary": 2}


def test_callers_that_pin_nothing_are_noted_where_they_leave_stable(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deployment.run("canary", 2) == 0
    assert deployment.unpinned_answer() == [4.0]
    assert error_line(capsys).startswith("note: callers that pin nothing get affine version 2, the newest ")


def test_a_rollback_notes_that_callers_that_pin_nothing_stay(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    deployment.run("promote", 2)
    capsys.readouterr()
    assert deployment.run("rollback") == 0
    assert deployment.unpinned_answer() == [4.0]
    assert error_line(capsys).startswith("note: callers that pin nothing get affine version 2, the newest ")


def test_nothing_is_noted_where_stable_is_the_newest(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deployment.run("promote", 2) == 0
    assert capsys.readouterr().err == ""


def test_json_names_the_version_that_callers_get_who_pin_nothing(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deployment.run("canary", 2, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "model": "affine",
        "labels": {"stable": 1, "canary": 2},
        "before": {"stable": 1, "canary": 1},
        "unloaded": [],
        "unpinned": 2,
    }


def test_what_is_let_go_is_printed(deployment: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    deployment.run("promote", 2)
    capsys.readouterr()
    assert deployment.run("promote", 3) == 0
    assert "affine version 1: no longer loaded" in capsys.readouterr().out.splitlines()


def test_a_listed_version_that_never_had_a_label_stays_loaded(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    config = models_config.read(deployment.file)
    config.model_config_list.config[0].model_version_policy.specific.versions[:] = [1, 3]
    deployment.file.write_text(text_format.MessageToString(config))
    deployment.caller.reload(config)
    deployment.caller.wait_for("affine", {3: "AVAILABLE", 1: "AVAILABLE"})
    assert deployment.run("promote", 2) == 0
    assert deployment.caller.predict("affine", [1.0], version=3).tolist() == [5.0]
    assert deployment.listed() == [1, 2, 3]
    assert "no longer loaded" not in capsys.readouterr().out


def test_promote_leaves_a_canary_on_trial_elsewhere(deployment: Deployment) -> None:
    deployment.run("canary", 3)
    assert deployment.run("promote", 2) == 0
    assert deployment.labels() == {"stable": 2, "canary": 3, "previous": 1}


def test_the_file_keeps_its_opening_comment_and_its_mode(deployment: Deployment) -> None:
    deployment.file.chmod(0o640)
    deployment.run("promote", 2)
    text = deployment.file.read_text()
    assert text.startswith("# Ours.\n# Do not lose this.\n")
    assert "  # Inside.\n  config {" in text
    assert deployment.file.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in deployment.file.parent.iterdir() if path.name.startswith(".")] == []


def test_an_engine_started_again_from_the_file_has_the_same_labels(
    deployment: Deployment, start_engine: Start
) -> None:
    deployment.run("promote", 2)
    again = start_engine(models_config.read(deployment.file))
    assert again.predict("affine", [1.0], label="stable").tolist() == [4.0]
    assert again.predict("affine", [1.0], label="previous").tolist() == [3.0]


def test_a_version_that_is_not_on_disk_is_refused(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deployment.run("promote", 9) == 1
    assert error_line(capsys).endswith("affine: there is 1, 2, 3")
    assert deployment.labels() == {"stable": 1, "canary": 1}


def test_a_version_that_does_not_load_changes_nothing(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    (deployment.base_path / "2" / "saved_model.pb").write_bytes(b"\x00")
    before = deployment.file.read_text()
    assert deployment.run("promote", 2) == 1
    assert "affine version 2 does not load: " in error_line(capsys)
    assert deployment.answer("stable") == [3.0]
    assert deployment.file.read_text() == before


def test_a_version_that_was_mended_after_it_failed_can_be_promoted(deployment: Deployment) -> None:
    good = (deployment.base_path / "2" / "saved_model.pb").read_bytes()
    (deployment.base_path / "2" / "saved_model.pb").write_bytes(b"\x00")
    deployment.run("promote", 2)
    (deployment.base_path / "2" / "saved_model.pb").write_bytes(good)
    assert deployment.run("promote", 2, "--file-system-poll-seconds", 0.1) == 0
    assert deployment.answer("stable") == [4.0]


def test_a_base_path_on_which_the_real_server_would_hang_is_refused(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    config = models_config.read(deployment.file)
    config.model_config_list.config.add(name="b", base_path="/nowhere/b", model_platform="tensorflow")
    deployment.file.write_text(text_format.MessageToString(config))
    assert deployment.run("promote", 2, "--model", "affine") == 1
    assert "base path /nowhere/b does not exist here" in error_line(capsys)
    assert deployment.answer("stable") == [3.0]


def test_a_policy_that_loads_by_itself_is_left_alone(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    config = models_config.read(deployment.file)
    config.model_config_list.config[0].model_version_policy.latest.num_versions = 1
    deployment.file.write_text(text_format.MessageToString(config))
    assert deployment.run("promote", 2) == 1
    assert "list its versions with specific { versions: N }" in error_line(capsys)


def test_several_models_need_a_name(deployment: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    config = models_config.read(deployment.file)
    other = config.model_config_list.config.add()
    other.CopyFrom(config.model_config_list.config[0])
    other.name = "other"
    deployment.file.write_text(text_format.MessageToString(config))
    assert deployment.run("promote", 2) == 1
    assert "lists affine, other: say which with --model" in error_line(capsys)


def test_no_server_is_one_line(deployment: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    deployment.address = "127.0.0.1:1"
    assert deployment.run("promote", 2) == 1
    assert error_line(capsys).startswith("error: no server answers at 127.0.0.1:1 (")


def test_versions_lists_disk_server_and_labels(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    deployment.run("promote", 2)
    capsys.readouterr()
    assert deployment.run("versions", "--json") == 0
    rows = json.loads(capsys.readouterr().out)["versions"]
    assert [(row["version"], row["on_disk"], row["state"], row["labels"]) for row in rows] == [
        (3, True, "", []),
        (2, True, "AVAILABLE", ["canary", "stable"]),
        (1, True, "AVAILABLE", ["previous"]),
    ]


def test_versions_prints_a_table(deployment: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    assert deployment.run("versions") == 0
    shown = capsys.readouterr().out
    assert "AVAILABLE" in shown
    assert "canary, stable" in shown


def test_base_paths_of_a_container_are_checked_below_the_models_root(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    text = deployment.file.read_text().replace(str(deployment.base_path), "/models/affine")
    deployment.file.write_text(text)
    assert deployment.run("versions", "--models-root", deployment.base_path.parent, "--json") == 0
    assert all(row["on_disk"] for row in json.loads(capsys.readouterr().out)["versions"])


def test_a_client_that_pins_a_version_is_answered_while_labels_move(deployment: Deployment) -> None:
    deployment.run("promote", 2)
    assert deployment.caller.predict("affine", [1.0], version=1).tolist() == [3.0]
    deployment.run("promote", 3)
    deployment.caller.wait_for("affine", {3: "AVAILABLE", 2: "AVAILABLE", 1: "END"})
    with pytest.raises(grpc.RpcError, match=r"Servable not found for request: Specific\(affine, 1\)"):
        deployment.caller.predict("affine", [1.0], version=1)


@pytest.fixture
def loading_all(deployment: Deployment) -> Deployment:
    """The same with versions 1 and 2 on disk and a policy by which the server loads all that appear."""
    deployment.base_path.joinpath("3").rename(deployment.base_path / "not yet")
    config = models_config.read(deployment.file)
    config.model_config_list.config[0].model_version_policy.all.SetInParent()
    deployment.file.write_text(text_format.MessageToString(config))
    deployment.caller.reload(config)
    deployment.caller.wait_for("affine", {1: "AVAILABLE", 2: "AVAILABLE"})
    return deployment


def test_a_version_that_the_server_is_about_to_load_is_waited_for(loading_all: Deployment) -> None:
    loading_all.base_path.joinpath("not yet").rename(loading_all.base_path / "3")
    assert loading_all.run("promote", 3) == 0
    assert loading_all.labels() == {"stable": 3, "canary": 3, "previous": 1}


def test_a_version_that_the_server_fails_to_load_by_itself_is_named_with_its_error(
    loading_all: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    (loading_all.base_path / "not yet" / "saved_model.pb").write_bytes(b"\x00")
    loading_all.base_path.joinpath("not yet").rename(loading_all.base_path / "3")
    assert loading_all.run("promote", 3) == 1
    assert "affine version 3 does not load: " in error_line(capsys)
    assert loading_all.labels() == {"stable": 1, "canary": 1}


def test_a_label_on_a_version_that_is_gone_is_named(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    deployment.run("promote", 2)
    deployment.base_path.joinpath("1").rename(deployment.base_path / "gone")
    capsys.readouterr()
    assert deployment.run("canary", 3) == 1
    assert "models.config has it as previous: export it, or take that label out first" in error_line(capsys)
