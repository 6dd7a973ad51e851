"""Versions, labels, polling and warm-up: the engine in this process, called over gRPC."""

import json
import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from slimserve.serving_config.engine.manager import Manager
from slimserve.serving_config.errors import ServingConfigError
from tensorflow_serving.apis import model_pb2
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from tests.unit.serving_config.engine_calls import AFFINE, WAIT, Caller, State, listing, publish, write_warmup

Start = Callable[..., Caller]


def test_a_version_renamed_into_place_replaces_the_one_before(start_engine: Start, base_path: Path) -> None:
    caller = start_engine(listing(base_path))
    publish(base_path, 2, AFFINE / "2")
    caller.wait_for("affine", {2: "AVAILABLE", 1: "END"})
    assert caller.predict("affine", [[1.0, 2.0]]).tolist() == [[4.0, 7.0]]


def test_a_folder_whose_name_is_no_number_is_ignored(start_engine: Start, base_path: Path) -> None:
    for name in (".tmp-2", "3.partial", "-4", "four", "0x5"):
        shutil.copytree(AFFINE / "2", base_path / name)
    caller = start_engine(listing(base_path, policy="all"))
    assert caller.states("affine") == {1: "AVAILABLE"}


def test_a_file_address_is_a_folder(start_engine: Start) -> None:
    assert start_engine(listing(f"file://{AFFINE}")).states("affine") == {3: "AVAILABLE"}


@pytest.mark.parametrize(
    ("policy", "versions", "served"),
    [("", (), [3]), ("latest 2", (), [3, 2]), ("all", (), [3, 2, 1]), ("", (1, 3), [3, 1])],
    ids=["latest", "latest 2", "all", "specific"],
)
def test_the_version_policy_says_what_is_served(
    start_engine: Start, policy: str, versions: tuple, served: list
) -> None:
    caller = start_engine(listing(AFFINE, *versions, policy=policy))
    assert caller.states("affine") == dict.fromkeys(served, "AVAILABLE")


def test_a_reload_replaces_the_whole_list(start_engine: Start, base_path: Path) -> None:
    config = listing(base_path)
    caller = start_engine(config)
    other = ModelServerConfig()
    other.model_config_list.config.add(name="other", base_path=str(base_path), model_platform="tensorflow")
    caller.reload(other)
    assert caller.predict("other", [1.0]).tolist() == [3.0]
    caller.wait_for("affine", {1: "END"})
    with pytest.raises(grpc.RpcError, match=r"Servable not found for request: Latest\(affine\)"):
        caller.predict("affine", [1.0])


def test_a_version_added_by_reload_is_loaded_beside_the_other(start_engine: Start) -> None:
    caller = start_engine(listing(AFFINE, 1))
    caller.reload(listing(AFFINE, 1, 2))
    caller.wait_for("affine", {2: "AVAILABLE", 1: "AVAILABLE"})


def test_a_label_moves_between_loaded_versions(start_engine: Start) -> None:
    caller = start_engine(listing(AFFINE, 1, 2, labels={"stable": 1}))
    assert caller.predict("affine", [1.0], label="stable").tolist() == [3.0]
    caller.reload(listing(AFFINE, 1, 2, labels={"stable": 2}))
    assert caller.predict("affine", [1.0], label="stable").tolist() == [4.0]


def test_a_label_is_not_moved_to_a_version_that_is_not_loaded(start_engine: Start) -> None:
    caller = start_engine(listing(AFFINE, 1, labels={"stable": 1}))
    with pytest.raises(grpc.RpcError) as caught:
        caller.reload(listing(AFFINE, 1, 2, labels={"stable": 2}))
    assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert caught.value.details() == (
        "Request to assign label to version 2 of model affine, which is not currently available for inference"
    )
    assert caller.predict("affine", [1.0], label="stable").tolist() == [3.0]


def test_a_reload_onto_a_missing_folder_changes_nothing(start_engine: Start, tmp_path: Path) -> None:
    caller = start_engine(listing(AFFINE, 1))
    with pytest.raises(grpc.RpcError, match="Could not find base path") as caught:
        caller.reload(listing(tmp_path / "nowhere"))
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    caller.reload(listing(AFFINE, 1, 2))
    caller.wait_for("affine", {2: "AVAILABLE", 1: "AVAILABLE"})


@pytest.mark.parametrize("poll_seconds", [0, 0.05], ids=["polling off", "polling"])
def test_a_version_that_is_wanted_again_while_a_request_holds_it_loads_again(poll_seconds: float) -> None:
    closed = []

    class Loaded:
        def close(self) -> None:
            closed.append(self)

    manager = Manager(lambda name, version, path: Loaded(), poll_seconds)  # type: ignore[arg-type, return-value]
    spec = model_pb2.ModelSpec(name="affine")
    spec.version.value = 2

    def wait_for(state: str) -> None:
        end = time.monotonic() + WAIT
        while manager.status(spec).model_version_status[0].state != State.Value(state):
            assert time.monotonic() < end, manager.status(spec)
            time.sleep(0.01)

    try:
        manager.reload(listing(AFFINE, 1, 2))
        with manager.servable(spec):
            manager.reload(listing(AFFINE, 1))
            wait_for("UNLOADING")
            manager.reload(listing(AFFINE, 1, 2))
            time.sleep(0.2)  # for the engine to see that it is wanted, and still held
            assert closed == []
        wait_for("AVAILABLE")
        assert len(closed) == 1
    finally:
        manager.stop()


def test_warm_up_requests_are_answered_before_a_version_serves(
    start_engine: Start, base_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_warmup(base_path / "1", "x", [1.0], [[2.0, 3.0]])
    caplog.set_level(logging.INFO)
    start_engine(listing(base_path))
    lines = [record.getMessage() for record in caplog.records]
    warmed = lines.index("affine version 1: 2 warm-up requests answered")
    assert warmed < lines.index("serving affine version 1")


def test_a_version_whose_warm_up_fails_does_not_serve(start_engine: Start, base_path: Path) -> None:
    write_warmup(base_path / "1", "x", [1])
    with pytest.raises(ServingConfigError, match=r"Expects arg\[0\] to be float but int32 is provided"):
        start_engine(listing(base_path))


@pytest.mark.parametrize(("target", "told"), [("x86", 1), ("portable", 0)])
def test_a_version_that_fails_is_told_with_the_machines_that_it_was_exported_for(
    target: str, told: int, start_engine: Start, base_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_warmup(base_path / "1", "x", [1])
    record = {"options": {"target": target}, "runs_on": "processors with AVX-512"}
    (base_path / "1" / "assets.extra" / "export.json").write_text(json.dumps(record))
    with pytest.raises(ServingConfigError):
        start_engine(listing(base_path))
    assert caplog.text.count("affine version 1 was exported for processors with AVX-512") == told
