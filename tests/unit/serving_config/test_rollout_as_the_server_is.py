"""Roll-outs on servers that do what tensorflow_model_server 2.20.0 was seen to do; the embedded engine is kinder."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path

import grpc
import pytest
from slimserve.serving_config.cli import main
from slimserve.serving_config.server import protocol

POLL = 0.1
State = protocol.ModelVersionStatus.State
CONFIG = """\
model_config_list {{
  config {{
    name: "m"
    base_path: "{folder}"
    model_platform: "tensorflow"
    model_version_policy {{ specific {{ versions: 1 }} }}
    version_labels {{ key: "stable" value: 1 }}
  }}
}}
"""


class Server:
    """Loads what is listed. A version that failed is tried again only after it was withdrawn for longer than a poll."""

    def __init__(self, steps: list[str], name: str) -> None:
        self.steps, self.name = steps, name
        self.states: dict[int, tuple[str, str]] = {1: ("AVAILABLE", "")}
        self.labels = {"stable": 1}
        self.broken: set[int] = set()
        self.unseen: set[int] = set()
        self.refusals = 0
        self.hangs = threading.Event()
        self._withdrawn: dict[int, float] = {}
        self._listed = {1}
        self._grpc = grpc.server(futures.ThreadPoolExecutor(4))
        calls = {
            "tensorflow.serving.ModelService": {
                "GetModelStatus": (self._status, protocol.GetModelStatusRequest),
                "HandleReloadConfigRequest": (self._reload, protocol.ReloadConfigRequest),
            },
            "tensorflow.serving.PredictionService": {
                "GetModelMetadata": (self._metadata, protocol.GetModelMetadataRequest)
            },
            "grpc.health.v1.Health": {"Check": (self._health, protocol.HealthCheckRequest)},
        }
        for service, methods in calls.items():
            handlers = {
                method: grpc.unary_unary_rpc_method_handler(
                    call, request.FromString, lambda message: message.SerializeToString()
                )
                for method, (call, request) in methods.items()
            }
            self._grpc.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
        self.address = f"127.0.0.1:{self._grpc.add_insecure_port('127.0.0.1:0')}"
        self._grpc.start()

    def close(self) -> None:
        self.hangs.set()
        self._grpc.stop(0).wait()

    def _status(self, _: object, context: grpc.ServicerContext) -> object:
        if self.refusals:
            self.refusals -= 1
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "Server Threadpool Exhausted")
        answer = protocol.GetModelStatusResponse()
        for version, (state, error) in sorted(self.states.items(), reverse=True):
            entry = answer.model_version_status.add(version=version, state=State.Value(state))
            entry.status.error_message = error
        return answer

    def _metadata(self, request: object, context: grpc.ServicerContext) -> object:
        label = request.model_spec.version_label
        if label not in self.labels:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"Unrecognized servable version label: {label}")
        return protocol.GetModelMetadataResponse(
            model_spec={"name": "m", "version": {"value": self.labels[label]}}
        )

    def _health(self, *_: object) -> object:
        return protocol.HealthCheckResponse(status=protocol.HealthCheckResponse.SERVING)

    def _reload(self, request: object, context: grpc.ServicerContext) -> object:
        if "hangs" in self.steps:
            self.hangs.wait(20)
        (model,) = request.config.model_config_list.config
        wanted = set(model.model_version_policy.specific.versions) - self.unseen
        for label, version in model.version_labels.items():
            if self.states.get(version, ("",))[0] != "AVAILABLE":
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"label {label}")
        now = time.monotonic()
        for version in self._listed - wanted:
            self._withdrawn[version] = now
            if not self.states[version][1]:
                self.states[version] = ("END", "")
        for version in wanted - self._listed:
            kept = self.states.get(version, ("", ""))
            if kept[1] and now - self._withdrawn.get(version, now) <= POLL:
                continue  # not tried again
            bad = version in self.broken
            self.states[version] = ("END", "Read less bytes than requested") if bad else ("AVAILABLE", "")
        self._listed = wanted
        self.labels = dict(model.version_labels)
        self.steps.append(f"{self.name} {sorted(wanted)} {self.labels['stable']}")
        return protocol.ReloadConfigResponse()


@pytest.fixture
def steps() -> list[str]:
    """What the servers were asked for, in order: name, versions, and where `stable` is."""
    return []


@pytest.fixture
def start(steps: list[str]) -> Iterator[Callable[[str], Server]]:
    servers: list[Server] = []

    def started(name: str) -> Server:
        servers.append(Server(steps, name))
        return servers[-1]

    yield started
    for server in servers:
        server.close()


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., int]:
    """A roll-out command on some servers."""
    for version in "12":
        (tmp_path / "m" / version).mkdir(parents=True)
    file = tmp_path / "models.config"
    file.write_text(CONFIG.format(folder=tmp_path / "m"))

    def command(*words: str, servers: list[Server]) -> int:
        addresses = [word for server in servers for word in ("--server", server.address)]
        poll = ["--file-system-poll-seconds", str(POLL)]
        return main([words[0], "--timeout", "6", *words[1:], *addresses, "--models-config", str(file), *poll])

    return command


def test_a_repaired_version_is_withdrawn_before_it_is_asked_for_again(
    run: Callable[..., int], start: Callable[[str], Server], capsys: pytest.CaptureFixture[str]
) -> None:
    server = start("a")
    server.broken = {2}
    assert run("promote", "2", servers=[server]) == 1
    assert "m version 2 does not load: Read less bytes than requested" in capsys.readouterr().err
    server.broken = set()
    assert run("promote", "2", servers=[server]) == 0
    assert "note: m version 2 has failed before: it is withdrawn, and asked for again after 0.25 s" in (
        capsys.readouterr().err
    )
    assert server.labels == {"stable": 2, "canary": 2, "previous": 1}


def test_a_version_that_the_server_does_not_see_is_said_before_the_time_is_over(
    run: Callable[..., int],
    start: Callable[[str], Server],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from slimserve.serving_config.server import api as server_api

    monkeypatch.setattr(server_api, "_LISTED_SECONDS", 0.3)
    server = start("a")
    server.unseen = {2}
    assert run("promote", "2", "--timeout", "1", servers=[server]) == 1
    note, error = capsys.readouterr().err.splitlines()
    assert f"note: {server.address} does not list m version 2 after 0.3 s: it finds no such folder" in note
    assert f"{server.address} has not listed m version 2 after 1 s: it finds no such folder" in error
    assert server.labels == {"stable": 1}


def test_several_servers_all_have_a_version_before_one_moves_a_label(
    run: Callable[..., int], start: Callable[[str], Server], steps: list[str]
) -> None:
    servers = [start("a"), start("b")]
    assert run("promote", "2", servers=servers) == 0
    assert steps == ["a [1, 2] 1", "b [1, 2] 1", "a [1, 2] 2", "b [1, 2] 2"]


def test_a_version_that_one_of_several_cannot_load_moves_no_label(
    run: Callable[..., int], start: Callable[[str], Server]
) -> None:
    servers = [start("a"), start("b")]
    servers[1].broken = {2}
    assert run("promote", "2", servers=servers) == 1
    assert [server.labels for server in servers] == [{"stable": 1}] * 2
    assert [server.states[1][0] for server in servers] == ["AVAILABLE"] * 2


def test_a_server_that_is_full_is_asked_again(
    run: Callable[..., int], start: Callable[[str], Server]
) -> None:
    server = start("a")
    server.refusals = 3
    assert run("promote", "2", servers=[server]) == 0


def test_a_reload_that_hangs_is_told_from_a_server_that_is_not_there(
    run: Callable[..., int],
    start: Callable[[str], Server],
    steps: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from slimserve.serving_config.server import api as server_api

    monkeypatch.setattr(server_api.ModelService.__init__, "__defaults__", (None, 0.5))
    server = start("a")
    steps.append("hangs")
    assert run("promote", "2", servers=[server]) == 1
    assert "answers, and does not return from a reload after 0.5 s" in capsys.readouterr().err


def test_no_proxy_stands_between_a_command_and_this_machine(
    run: Callable[..., int], start: Callable[[str], Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert run("promote", "2", servers=[start("a")]) == 0
