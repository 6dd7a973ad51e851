"""`up` says who can reach what it starts, and what it lacks where its user has little."""

from __future__ import annotations

import pwd
import tempfile
from pathlib import Path

import pytest
from slimserve.serving_config.server import ports
from slimserve.serving_config.server.models_config import from_folders, read
from slimserve.serving_config.up.exposure import is_loopback, warn
from slimserve.serving_config.up.server_command import generated_config


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


def test_a_user_without_a_home_gets_a_list_of_models_in_a_temporary_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def unknown(user: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {user}")

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    config = from_folders([("vgg_16", tmp_path)])
    path = generated_config(config)
    assert path.is_relative_to(tmp_path)
    assert path.parent.stat().st_mode & 0o077 == 0
    assert read(path) == config


@pytest.mark.parametrize("address", ["localhost:8500", "LocalHost:8500", "127.0.0.2:8500", "[::1]:8500"])
def test_no_proxy_is_asked_for_this_machine(address: str) -> None:
    assert ports.is_loopback(address)
    assert not ports.is_loopback("localhost.example:8500")
