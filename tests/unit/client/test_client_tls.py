"""TLS and mutual TLS, and each way that it fails: at once, and saying why."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from slimserve import TLS, AsyncClient, Client, Unavailable

from tests.unit.client.conftest import PREDICT, ScriptedServer, predict_answer

Start = Callable[..., ScriptedServer]
INPUTS = {"x": [1.0]}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_credentials(issued: trustme.LeafCert, clients: trustme.CA | None = None) -> grpc.ServerCredentials:
    pair = issued.private_key_pem.bytes(), b"".join(pem.bytes() for pem in issued.cert_chain_pems)
    return grpc.ssl_server_credentials([pair], clients and clients.cert_pem.bytes(), clients is not None)


def answering(server: ScriptedServer) -> ScriptedServer:
    server.answers[PREDICT] = lambda request, context: predict_answer(y=[1.0])
    return server


@pytest.fixture
def files(authority: trustme.CA, tmp_path: Path) -> dict[str, Path]:
    """PEM files: the CA, another CA, a client's certificate and key."""
    paths = {name: tmp_path / f"{name}.pem" for name in ("ca", "other_ca", "certificate", "key")}
    issued = authority.issue_cert("reader@example.org")
    authority.cert_pem.write_to_path(paths["ca"])
    trustme.CA().cert_pem.write_to_path(paths["other_ca"])
    issued.cert_chain_pems[0].write_to_path(paths["certificate"])
    issued.private_key_pem.write_to_path(paths["key"])
    return paths


@pytest.fixture
def server(authority: trustme.CA, scripted: Start) -> ScriptedServer:
    return answering(scripted(credentials=server_credentials(authority.issue_cert("localhost"))))


def failure(server: ScriptedServer, tls: Any) -> str:
    """The message of the failed call, which may take five seconds."""
    begun = time.monotonic()
    with (
        Client(f"localhost:{server.port}", model="m", tls=tls) as caller,
        pytest.raises(Unavailable) as caught,
    ):
        caller.predict(INPUTS)
    assert time.monotonic() - begun < 5
    return str(caught.value)


def test_a_trusted_server_answers(server: ScriptedServer, files: dict[str, Path]) -> None:
    with Client(f"localhost:{server.port}", model="m", tls=files["ca"], token="secret") as caller:
        assert caller.predict(INPUTS)["y"].tolist() == [1.0]
    assert server.metadata[0]["authorization"] == "Bearer secret"


async def test_a_trusted_server_answers_the_async_client(
    server: ScriptedServer, files: dict[str, Path]
) -> None:
    async with AsyncClient(f"localhost:{server.port}", model="m", tls=TLS(ca=files["ca"])) as caller:
        assert (await caller.predict(INPUTS))["y"].tolist() == [1.0]


def test_the_name_in_the_certificate_may_differ_from_the_address(
    authority: trustme.CA, scripted: Start, files: dict[str, Path]
) -> None:
    server = answering(scripted(credentials=server_credentials(authority.issue_cert("vgg.internal"))))
    tls = TLS(ca=files["ca"], server_name="vgg.internal")
    with Client(server.address, model="m", tls=tls) as caller:
        assert caller.predict(INPUTS)["y"].tolist() == [1.0]
    assert "another name" in failure(server, files["ca"])


def test_both_sides_show_certificates(authority: trustme.CA, scripted: Start, files: dict[str, Path]) -> None:
    server = answering(scripted(credentials=server_credentials(authority.issue_cert("localhost"), authority)))
    tls = TLS(ca=files["ca"], certificate=files["certificate"], key=files["key"])
    with Client(f"localhost:{server.port}", model="m", tls=tls) as caller:
        assert caller.predict(INPUTS)["y"].tolist() == [1.0]


def test_gprc_credentials_are_taken_as_they_are(server: ScriptedServer, authority: trustme.CA) -> None:
    credentials = grpc.ssl_channel_credentials(authority.cert_pem.bytes())
    with Client(f"localhost:{server.port}", model="m", tls=credentials) as caller:
        assert caller.predict(INPUTS)["y"].tolist() == [1.0]


@pytest.mark.parametrize("tls", ["other_ca", True])
def test_a_server_signed_by_another_authority_is_not_trusted(
    server: ScriptedServer, files: dict[str, Path], tls: str | bool
) -> None:
    assert "not signed by the CA" in failure(server, files[tls] if isinstance(tls, str) else tls)


def test_an_expired_certificate_is_not_trusted(
    authority: trustme.CA, scripted: Start, files: dict[str, Path]
) -> None:
    year = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
    expired = authority.issue_cert("localhost", not_before=year, not_after=year + datetime.timedelta(days=90))
    server = answering(scripted(credentials=server_credentials(expired)))
    assert "certificate has expired" in failure(server, files["ca"])


def test_a_missing_client_certificate_is_named(
    authority: trustme.CA, scripted: Start, files: dict[str, Path]
) -> None:
    server = answering(scripted(credentials=server_credentials(authority.issue_cert("localhost"), authority)))
    assert "client certificate" in failure(server, files["ca"])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("damaged", ["other", "encrypted", "ca"])
def test_files_that_cannot_be_used_are_named(
    server: ScriptedServer, files: dict[str, Path], host: str, damaged: str
) -> None:
    if damaged == "ca":
        files["ca"].write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    key = serialization.load_pem_private_key(files["key"].read_bytes(), None)
    if damaged == "other":
        trustme.CA().issue_cert("another@example.org").private_key_pem.write_to_path(files["key"])
    if damaged == "encrypted":
        kind = serialization.PrivateFormat.PKCS8
        secret = serialization.BestAvailableEncryption(b"secret")
        files["key"].write_bytes(key.private_bytes(serialization.Encoding.PEM, kind, secret))
    tls = TLS(files["ca"], files["certificate"], files["key"])
    begun = time.monotonic()
    with (
        Client(f"{host}:{server.port}", model="m", tls=tls, connect_timeout=30) as client,
        pytest.raises(
            Unavailable, match=r"the TLS files cannot be used: .* \(--tls-ca, --tls-cert, --tls-key\)"
        ),
    ):
        client.predict(INPUTS)
    assert time.monotonic() - begun < 15


def test_a_call_without_tls_to_a_server_with_it_is_named(server: ScriptedServer) -> None:
    assert "it may require TLS" in failure(server, False)


def test_a_call_with_tls_to_a_server_without_it_is_named(scripted: Start, files: dict[str, Path]) -> None:
    assert "speaks without TLS" in failure(answering(scripted()), files["ca"])
