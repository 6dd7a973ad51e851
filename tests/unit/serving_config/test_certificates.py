"""`certificates`: what it makes is taken by TLS itself, and no longer than it says."""

import ssl
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography import x509
from slimserve.serving_config.check.inspection import inspect
from slimserve.serving_config.cli import main

from tests.unit.serving_config.rendered import add_version

pytestmark = pytest.mark.usefixtures("empty_folder")


def handshake(name: str, with_caller: bool = True) -> bool:
    """Whether a server with these files, which wants a certificate, and a caller that knows it by `name` agree."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile="certificates/ca.pem")
    server.load_cert_chain("certificates/server.pem", "certificates/server.key")
    server.verify_mode = ssl.CERT_REQUIRED
    caller = ssl.create_default_context(cafile="certificates/ca.pem")
    for context in (server, caller):
        context.verify_flags |= ssl.VERIFY_X509_STRICT
    if with_caller:
        caller.load_cert_chain("certificates/caller.pem", "certificates/caller.key")
    to_server, to_caller = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        caller.wrap_bio(to_caller, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_caller, server_side=True),
    ]
    done = [False, False]
    for _ in range(6):
        for index, end in enumerate(ends):
            try:
                end.do_handshake()
                done[index] = True
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError:
                return False
    return all(done)


@pytest.mark.parametrize(
    ("name", "agreed"),
    [("localhost", True), ("127.0.0.1", True), ("serving.default.svc", True), ("other.example", False)],
)
def test_server_and_caller_agree_on_the_names_that_were_given(name: str, agreed: bool) -> None:
    assert main(["certificates", "localhost", "127.0.0.1", "serving.default.svc"]) == 0
    assert handshake(name) is agreed


def test_a_caller_without_its_certificate_is_refused() -> None:
    main(["certificates"])
    assert handshake("localhost")
    assert not handshake("localhost", with_caller=False)


def test_they_hold_as_long_as_asked_and_nobody_else_may_read_them() -> None:
    main(["certificates", "--days", "3"])
    certificate = x509.load_pem_x509_certificate(Path("certificates/server.pem").read_bytes())
    left = certificate.not_valid_after_utc - datetime.now(timezone.utc)
    assert timedelta(days=2, hours=23) < left <= timedelta(days=3)
    assert Path("certificates").stat().st_mode & 0o077 == 0
    assert Path("certificates/.gitignore").read_text() == "*\n"


def test_a_deployment_is_rendered_with_them(capsys: pytest.CaptureFixture[str]) -> None:
    add_version("vgg_16", 1)
    main(["certificates"])
    (line,) = [line for line in capsys.readouterr().out.splitlines() if " render " in line]
    options = line.split(" render ")[1].split()
    assert main(["render", "--model", "vgg_16=models/vgg_16", "--for", "docker", *options]) == 0
    assert inspect([Path("deploy")], None, []).findings == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["certificates"], "certificates is there: choose another --out"),
        (["certificates", "--out", "new", "--days", "0"], "--days 0: give it 1 to 3650"),
        (["certificates", "bücher.example", "--out", "new"], "bücher.example is no name of a host"),
        (
            ["certificates", "some/folder", "--out", "new"],
            "some/folder is no name of a host: give a name or an address",
        ),
        (["certificates", "localhost:8500", "--out", "new"], "localhost:8500 is no name of a host"),
        (["certificates", "https://vgg.example", "--out", "new"], "https://vgg.example is no name of a host"),
    ],
)
def test_refuses(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("certificates").mkdir()
    assert main(words) == 1
    assert message in capsys.readouterr().err
