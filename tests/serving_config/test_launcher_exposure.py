"""`up` says who can reach what it starts."""

from __future__ import annotations

import pytest

from serving_config.exposure import is_loopback, warn


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_addresses_of_this_machine_alone(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "", "no.such.host.invalid"])
def test_addresses_that_others_may_reach(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("engine", "host", "encrypted", "warnings"),
    [
        ("embedded", "127.0.0.1", False, []),
        ("embedded", "0.0.0.0", False, ["there is no TLS"]),
        ("embedded", "0.0.0.0", True, []),
        ("docker", "192.0.2.7", False, ["there is no TLS"]),
        ("docker", "localhost", False, []),
        ("binary", "127.0.0.1", False, ["listens on every interface", "there is no TLS"]),
        ("binary", "127.0.0.1", True, ["listens on every interface"]),
        ("binary", "0.0.0.0", False, ["there is no TLS"]),
    ],
)
def test_a_server_that_others_may_reach_is_warned_of(
    engine: str, host: str, encrypted: bool, warnings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    warn(engine, host, encrypted)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == len(warnings)
    assert all(
        line.startswith("warning: ") and text in line for line, text in zip(lines, warnings, strict=True)
    )
