"""What `up` says of a server that does not become ready."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf import text_format
from slimserve.serving_config.errors import ServingConfigError
from slimserve.serving_config.server import ports
from slimserve.serving_config.server.api import VersionStatus
from slimserve.serving_config.server.protocol import ModelServerConfig
from slimserve.serving_config.up import unready
from slimserve.serving_config.up.server_command import Launch

CONFIG = 'model_config_list { config { name: "m" base_path: "/srv/m" } }'


class Service:
    """A server that answers with these versions, or not at all."""

    def __init__(self, *versions: VersionStatus, error: str = "") -> None:
        self._versions, self._error = list(versions), error

    def versions(self, model: str) -> list[VersionStatus]:
        if self._error:
            raise ServingConfigError(self._error)
        return self._versions


@pytest.fixture
def launch() -> Launch:
    """A server on a port that nobody listens on."""
    return Launch(
        config=text_format.Parse(CONFIG, ModelServerConfig()),
        config_file=Path("models.config"),
        host="127.0.0.1",
        port=ports.free("127.0.0.1"),
        tensor_content=True,
        poll_seconds=1,
        calls=8,
    )


@pytest.fixture
def opened(launch: Launch) -> Iterator[Launch]:
    """The same with somebody listening."""
    with socket.create_server((launch.host, launch.port)):
        yield launch


def test_a_port_that_stays_closed_names_the_paths_that_it_may_wait_for(launch: Launch) -> None:
    said = unready.why(Service(), launch)
    assert said.startswith(f"127.0.0.1:{launch.port} is not open. ")
    assert "(/srv/m)" in said


@pytest.mark.parametrize(
    ("versions", "words"),
    [
        ([VersionStatus(1, "LOADING")], "m has no version that answers (version 1 is LOADING)"),
        ([VersionStatus(2, "END", "no graph")], "m has no version that answers (version 2 is END no graph)"),
        ([], "m has no version that answers (none is seen)"),
        ([VersionStatus(1, "AVAILABLE")], "its health service does not say SERVING"),
    ],
)
def test_a_port_that_is_open_shows_how_far_it_is(
    versions: list[VersionStatus], words: str, opened: Launch
) -> None:
    assert words in unready.why(Service(*versions), opened)


@pytest.mark.parametrize("proxy", ["", "http://proxy.example:3128"])
def test_an_answer_that_does_not_come_names_the_proxy(
    proxy: str, opened: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("grpc_proxy", "https_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", proxy)
    said = unready.why(Service(error="no server answers"), opened)
    assert "no server answers" in said
    assert ("names a proxy (http_proxy)" in said) is bool(proxy)


def test_it_is_said_after_a_while_and_not_all_the_time(
    launch: Launch, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(unready.time, "monotonic", lambda: now[0])
    watch = unready.Watch(launch)
    for now[0] in range(100):
        watch.look(Service())
    said = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0] + line.partition(":")[2][:22] for line in said] == [
        "note not ready after 20 s:",
        "note not ready after 80 s:",
    ]
