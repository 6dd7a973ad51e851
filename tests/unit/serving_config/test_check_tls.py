"""`check` reads the keys and certificates in ssl.config."""

import datetime
from pathlib import Path

import pytest
import trustme
from slimserve.serving_config.check.inspection import inspect
from slimserve.serving_config.deploy.contents.config_files import ssl_config
from slimserve.serving_config.server.tls import ServerTls

AUTHORITY = trustme.CA()
SERVER = AUTHORITY.issue_cert("serving.example")
OTHER = AUTHORITY.issue_cert("other.example")


def pem(certificate: trustme.LeafCert) -> str:
    return b"".join(blob.bytes() for blob in certificate.cert_chain_pems).decode()


GOOD = ServerTls(SERVER.private_key_pem.bytes().decode(), pem(SERVER), AUTHORITY.cert_pem.bytes().decode())


def lines(folder: Path, text: str) -> list[str]:
    folder.chmod(0o700)
    path = folder / "ssl.config"
    path.write_text(text)
    return [f"{finding.line}: {finding.message}" for finding in inspect([path], None, []).findings]


def test_a_key_with_its_certificate_and_authority_has_no_fault(tmp_path: Path) -> None:
    assert lines(tmp_path, ssl_config(GOOD)) == []


def test_finds_a_certificate_of_another_key(tmp_path: Path) -> None:
    text = ssl_config(ServerTls(GOOD.key, pem(OTHER), None))
    assert "server_cert and server_key do not belong together" in lines(tmp_path, text)[0]


def test_finds_an_expired_certificate(tmp_path: Path) -> None:
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
    old = AUTHORITY.issue_cert("serving.example", not_after=past)
    text = ssl_config(ServerTls(old.private_key_pem.bytes().decode(), pem(old), None))
    assert "server_cert expired on 2020-01-01" in lines(tmp_path, text)[0]


def test_finds_a_file_name_where_pem_text_belongs(tmp_path: Path) -> None:
    found = lines(tmp_path, f'server_key: "/etc/tls/key.pem"\nserver_cert: {GOOD.certificate!r}\n')
    assert "1: server_key is no PEM private key" in found[0]


def test_finds_an_authority_that_is_no_certificate(tmp_path: Path) -> None:
    assert (
        "custom_ca holds no PEM certificate"
        in lines(tmp_path, ssl_config(ServerTls(GOOD.key, GOOD.certificate, "x")))[0]
    )


@pytest.mark.parametrize("name", ["server_key", "server_cert"])
def test_finds_a_missing_half_of_the_pair(name: str, tmp_path: Path) -> None:
    text = ssl_config(ServerTls(GOOD.key, GOOD.certificate, None))
    start, end = text.index(f"\n{name}:"), len(text)
    if name == "server_key":
        end = text.index("\nserver_cert:")
    assert f"1: {name} is missing" in lines(tmp_path, text[:start] + text[end:])


def test_finds_verification_without_an_authority(tmp_path: Path) -> None:
    text = ssl_config(ServerTls(GOOD.key, GOOD.certificate, None)) + "client_verify: true\n"
    assert lines(tmp_path, text) == ["1: client_verify is on without custom_ca"]


def test_finds_a_private_key_open_to_every_user(tmp_path: Path) -> None:
    path = tmp_path / "ssl.config"
    path.write_text(ssl_config(GOOD))
    path.chmod(0o644)
    tmp_path.chmod(0o755)
    assert [finding.message for finding in inspect([path], None, []).findings] == [
        "readable by every user of this machine"
    ]


def test_the_template_is_held_to_its_fields_only(tmp_path: Path) -> None:
    path = tmp_path / "ssl.config.template"
    path.write_text('server_key: "..."\nserver_cert: "..."\nserver_crt: "..."\n')
    assert [finding.line for finding in inspect([path], None, []).findings] == [3]
