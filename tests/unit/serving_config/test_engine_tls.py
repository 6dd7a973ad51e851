"""TLS and mutual TLS of the engine, from an SSLConfig as TensorFlow Serving reads it."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
import trustme
from google.protobuf import text_format
from slimserve.serving_config.engine.server import Engine, Options
from slimserve.serving_config.errors import ServingConfigError
from slimserve.serving_config.server import tls

from tests.unit.serving_config.engine_calls import AFFINE, Caller, listing


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def leaf(authority: trustme.CA) -> trustme.LeafCert:
    return authority.issue_cert("localhost", "127.0.0.1")


def write_ssl_config(path: Path, leaf: trustme.LeafCert, client_ca: trustme.CA | None = None) -> Path:
    """The file as an operator fills it: PEM text in each field."""
    fields = {
        "server_key": leaf.private_key_pem.bytes().decode(),
        "server_cert": "".join(pem.bytes().decode() for pem in leaf.cert_chain_pems),
    }
    if client_ca:
        fields["custom_ca"] = client_ca.cert_pem.bytes().decode()
    lines = [
        f'{name}: "{text_format.text_encoding.CEscape(text, as_utf8=True)}"' for name, text in fields.items()
    ]
    path.write_text("\n".join([*lines, f"client_verify: {str(client_ca is not None).lower()}"]))
    return path


@pytest.fixture
def start_tls(tmp_path: Path, leaf: trustme.LeafCert) -> Iterator[Callable[[trustme.CA | None], str]]:
    """Starts an engine with TLS, and mutual TLS where it is given an authority; its address."""
    with contextlib.ExitStack() as stack:

        def start(client_ca: trustme.CA | None = None) -> str:
            config = write_ssl_config(tmp_path / "ssl.config", leaf, client_ca)
            engine = Engine(Options(port=0, tls=tls.read(config)))
            stack.callback(engine.stop, grace=0)
            engine.start(listing(AFFINE, 1))
            return engine.address

        yield start


def call(address: str, ca: trustme.CA | None, client: trustme.LeafCert | None = None) -> list:
    if ca is None:
        channel = grpc.insecure_channel(address)
    else:
        chain = b"".join(pem.bytes() for pem in client.cert_chain_pems) if client else None
        key = client.private_key_pem.bytes() if client else None
        credentials = grpc.ssl_channel_credentials(ca.cert_pem.bytes(), key, chain)
        channel = grpc.secure_channel(address, credentials)
    with channel:
        return Caller(channel).predict("affine", [1.0], timeout=5).tolist()


def test_a_caller_that_trusts_the_authority_is_answered(start_tls: Callable, authority: trustme.CA) -> None:
    assert call(start_tls(), authority) == [3.0]


@pytest.mark.parametrize("ca", [trustme.CA(), None], ids=["another authority", "plaintext"])
def test_a_caller_that_does_not_is_not(start_tls: Callable, ca: trustme.CA | None) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        call(start_tls(), ca)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE


def test_mutual_tls_answers_callers_that_its_authority_has_signed(
    start_tls: Callable, authority: trustme.CA
) -> None:
    clients = trustme.CA()
    address = start_tls(clients)
    assert call(address, authority, clients.issue_cert("client")) == [3.0]


@pytest.mark.parametrize(
    "client", [None, trustme.CA().issue_cert("client")], ids=["none", "signed by another"]
)
def test_mutual_tls_refuses_callers_without_its_certificate(
    start_tls: Callable, authority: trustme.CA, client: trustme.LeafCert | None
) -> None:
    address = start_tls(trustme.CA())
    with pytest.raises(grpc.RpcError) as caught:
        call(address, authority, client)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE


def test_up_serves_tls(
    serving: Callable, tmp_path: Path, leaf: trustme.LeafCert, authority: trustme.CA
) -> None:
    config = write_ssl_config(tmp_path / "ssl.config", leaf)
    server = serving(
        "--engine", "embedded", "--port", 0, "--model", f"affine={AFFINE}", "--ssl-config", config
    )
    assert call(server.address, authority) == [5.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('server_key: "key.pem" server_cert: "cert.pem"', "server_key must hold PEM text"),
        ("server_keys: 1", "not an SSLConfig text proto: 1:1"),
        (None, "cannot read the TLS configuration: No such file"),
    ],
    ids=["file names", "unknown field", "missing"],
)
def test_a_faulty_ssl_config_is_named(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "ssl.config"
    if text:
        path.write_text(text)
    with pytest.raises(ServingConfigError, match=message):
        tls.read(path)


def test_a_certificate_of_another_key_is_named(tmp_path: Path, authority: trustme.CA) -> None:
    config = tls.read(write_ssl_config(tmp_path / "ssl.config", authority.issue_cert("a"), authority))
    other = authority.issue_cert("b").private_key_pem.bytes().decode()
    mixed = tls.ServerTls(other, config.certificate)
    with pytest.raises(ServingConfigError, match="the key is not the certificate's"):
        Engine(Options(port=0, tls=mixed))
