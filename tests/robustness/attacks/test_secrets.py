"""A bearer token and a TLS key reach the server, and no message, log, traceback or representation."""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
import trustme
from slimserve import TLS, Client, ServingError
from slimserve.channels.connections.connection import make_connection
from slimserve.serving_config.deploy import plan
from slimserve.serving_config.engine.server import Options
from slimserve.serving_config.server import tls
from slimserve.serving_config.server.api import CallerTls

from tests.conftest import run_module
from tests.unit.client.conftest import PREDICT, ScriptedServer, predict_answer, refusing, scripted  # noqa: F401

TOKEN = "c2VjcmV0LXRva2Vu.4711"
KEY = trustme.CA().issue_cert("localhost").private_key_pem.bytes().decode()


def holds_the_key(text: str) -> bool:
    """Tell whether a piece of the key is in the text, a third of a line of it or more."""
    material = "".join(re.findall(r"^[A-Za-z0-9+/=]+$", KEY, re.MULTILINE))
    return any(material[start : start + 20] in text for start in range(len(material) - 19))


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    return file


def test_the_key_is_recognised() -> None:
    assert holds_the_key(f"error: cannot read {KEY.splitlines()[2][:40]!r}")


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL]
)
def test_errors_and_logs_of_a_call_tell_no_token(
    scripted: Callable[..., ScriptedServer],  # noqa: F811
    code: grpc.StatusCode,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    server = scripted()
    server.answers[PREDICT] = refusing(code, "no")
    with (
        Client(server.address, model="m", token=TOKEN, timeout=1) as client,
        pytest.raises(ServingError) as caught,
    ):
        client.predict({"x": [1.0]})
    assert server.metadata[0]["authorization"] == f"Bearer {TOKEN}"
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(vars(caught.value))
    assert TOKEN not in told + caplog.text + repr(client) + str(client)


def test_a_connection_shows_neither_token_nor_key(tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("ca", "certificate", "key")}
    authority = trustme.CA()
    authority.cert_pem.write_to_path(files["ca"])
    authority.cert_pem.write_to_path(files["certificate"])
    files["key"].write_text(KEY)
    connection = make_connection("localhost:8500", TLS(**files), TOKEN, None)
    shown = repr(connection) + str(connection)
    assert TOKEN not in shown
    assert not holds_the_key(shown)


def test_a_token_that_cannot_be_sent_is_not_repeated() -> None:
    with pytest.raises(ServingError, match="cannot be sent in a header") as caught:
        Client("localhost:8500", model="m", token=f"{TOKEN}\n")
    assert TOKEN not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("token", [TOKEN.encode(), b"\xff" + TOKEN.encode(), f"{TOKEN}\n{TOKEN}".encode()])
def test_the_command_tells_no_token(token_file: Path, token: bytes) -> None:
    token_file.write_bytes(token)
    result = run_module(
        "client", "status", "--server", "127.0.0.1:1", "--timeout", "1", "--token-file", token_file, "--debug"
    )
    assert result.returncode == 1
    assert "Traceback" in result.stderr
    assert TOKEN not in result.stdout + result.stderr


def quoted(pem: str) -> list[str]:
    return [f'  "{line}\\n"' for line in pem.splitlines()]


def with_a_broken_line(break_line: Callable[[str], str]) -> str:
    """The key's file, its third line broken, which is the second of the key's material."""
    lines = quoted(KEY)
    return "\n".join(["server_key:", *lines[:2], break_line(lines[2]), *lines[3:]])


WHOLE = "\n".join(quoted(KEY))
MALFORMED = {
    "a line without quotes": with_a_broken_line(lambda line: line.strip(' "')),
    "a line without its first quote": with_a_broken_line(lambda line: line.replace('"', "", 1)),
    "a line without its last quote": with_a_broken_line(lambda line: line[:-1]),
    "the bare PEM text": f"server_key: {KEY}",
    "one string over many lines": f'server_key: "{KEY}"',
    "a field that takes no text": f"client_verify:\n{WHOLE}",
    "an unknown field": f"server_kee:\n{WHOLE}",
    "no certificate": f"server_key:\n{WHOLE}",
    "a key cut short": f'server_key:\n{WHOLE[: len(WHOLE) // 2]}"',
}


@pytest.fixture(params=MALFORMED.values(), ids=MALFORMED)
def malformed(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "ssl.config"
    path.write_text(request.param)
    return path


def test_an_ssl_config_that_cannot_be_served_is_not_quoted(malformed: Path) -> None:
    with pytest.raises(Exception, match=r"ssl\.config: ") as caught:
        tls.read(malformed)
    assert not holds_the_key("".join(traceback.format_exception(caught.value)))


def test_an_ssl_config_with_faults_is_not_quoted(malformed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from slimserve.serving_config.cli import main

    assert main(["check", str(malformed)]) == 1
    said = capsys.readouterr()
    assert "ssl.config" in said.out
    assert not holds_the_key(said.out + said.err)


def test_settings_that_hold_a_key_do_not_show_it() -> None:
    server = tls.ServerTls(KEY, "certificate")
    held = [server, Options(tls=server), CallerTls(key=KEY.encode()), plan.Plan((), tls=server)]
    assert not any(map(holds_the_key, map(repr, held)))


def test_a_rendered_deployment_holds_the_key_in_its_private_folder_alone(tmp_path: Path) -> None:
    issued = trustme.CA().issue_cert("localhost")
    (tmp_path / "key.pem").write_text(KEY)
    issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    deploy = tmp_path / "deploy"
    result = run_module(
        "serving_config", "render", "--model", "affine=tests/contract/recorded/models/affine",
        "--for", "docker", "kubernetes", "--out", deploy, "--debug",
        "--tls-key", tmp_path / "key.pem", "--tls-cert", tmp_path / "cert.pem",
    )  # fmt: skip
    assert (deploy / "tls").is_dir(), result.stderr
    files = [path for path in deploy.rglob("*") if path.is_file()]
    assert [path.parent for path in files if holds_the_key(path.read_text())] == [deploy / "tls"]
    assert (deploy / "tls").stat().st_mode & 0o777 == 0o700
    assert not holds_the_key(result.stdout + result.stderr)
