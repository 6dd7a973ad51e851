"""The arguments of `up`: numbers out of range are usage errors, and names of hosts are looked up for Docker."""

import socket
from pathlib import Path

import pytest
from slimserve.serving_config.cli import main
from slimserve.serving_config.errors import ServingConfigError
from slimserve.serving_config.server.protocol import ModelServerConfig
from slimserve.serving_config.up import server_command


def command(host: str, poll_seconds: float = 1) -> list[str]:
    return server_command.docker(
        server_command.Launch(
            config=ModelServerConfig(),
            config_file=Path("/cache/models.config"),
            host=host,
            port=8500,
            tensor_content=True,
            calls=8,
            poll_seconds=poll_seconds,
        )
    )


@pytest.mark.parametrize("seconds", ["-1", "nan", "inf", "1e300", "often"])
def test_a_poll_interval_that_no_server_can_keep_is_a_usage_error(
    seconds: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["up", f"--file-system-poll-seconds={seconds}"])
    assert caught.value.code == 2
    assert f"{seconds!r}: seconds, from 0 to 2147483647" in capsys.readouterr().err


@pytest.mark.parametrize("threads", ["0", "-2", "two"])
def test_less_than_one_thread_is_a_usage_error(threads: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["up", f"--threads={threads}"])
    assert caught.value.code == 2
    assert f"{threads!r}: a whole number from 1 up" in capsys.readouterr().err


@pytest.mark.parametrize(("asked", "passed_on"), [(0, "0"), (0.2, "1"), (1.5, "2")])
def test_only_an_interval_of_0_polls_once(asked: float, passed_on: str) -> None:
    assert f"--file_system_poll_wait_seconds={passed_on}" in command("127.0.0.1", asked)


@pytest.mark.parametrize(
    ("host", "published"),
    [
        ("localhost", "127.0.0.1:8500"),
        ("127.0.0.1", "127.0.0.1:8500"),
        ("0.0.0.0", "0.0.0.0:8500"),
        ("::1", "[::1]:8500"),
    ],
)
def test_docker_publishes_on_an_address(host: str, published: str) -> None:
    assert f"--publish={published}:8500" in command(host)


def test_a_host_that_cannot_be_looked_up_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(ServingConfigError, match="--host nowhere cannot be looked up"):
        command("nowhere")
