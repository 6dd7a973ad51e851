"""`python -m serving_config certificates`: an authority, a server's and a caller's certificate, for a trial of TLS."""

import argparse
import datetime
import ipaddress
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ..errors import ServingConfigError
from ..paths import path_argument
from . import folder

_DESCRIPTION = """\
Makes what a trial of TLS needs: an authority of its own, a certificate of the server for the names by which callers
reach it, and one of a caller. The authority's key is thrown away: for more names or days, make all of them anew. For
production, take certificates of your organisation or of a public authority."""
_EPILOG = """\
examples:
  %(prog)s localhost 127.0.0.1
  %(prog)s serving serving.default.svc --out certificates --days 90"""
# Letters of other alphabets pass, so that x509 says what to do about them.
_HOST = re.compile(r"(\*\.)?[\w-]+(\.[\w-]+)*\.?")
_HOUR = datetime.timedelta(hours=1)
_USAGES = """digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign
    crl_sign encipher_only decipher_only"""


def add_parser(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the `certificates` subcommand."""
    parser = add(
        "certificates", help="make certificates for a trial of TLS", description=_DESCRIPTION, epilog=_EPILOG
    )
    parser.add_argument(
        "hosts",
        nargs="*",
        default=["localhost", "127.0.0.1"],
        metavar="HOST",
        help="names and addresses by which callers reach the server (default: localhost 127.0.0.1)",
    )
    parser.add_argument(
        "--out",
        type=path_argument,
        default=Path("certificates"),
        metavar="FOLDER",
        help="default: %(default)s; it must not exist",
    )
    parser.add_argument("--days", type=int, default=30, metavar="N", help="how long they hold (default: 30)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the files, and print the commands that use them; 0.

    Raises:
        ServingConfigError: the folder exists, or a name is none.
    """
    if args.out.exists():
        raise ServingConfigError(f"{args.out} is there: choose another --out, or remove it")
    if not 1 <= args.days <= 3650:
        raise ServingConfigError(f"--days {args.days}: give it 1 to 3650")
    folder.write(args.out, make(args.hosts, args.days), private=".")
    print(f"{args.out}: ca.pem, server.pem, server.key, caller.pem, caller.key, for {args.days} days")
    server = f"--tls-key {args.out}/server.key --tls-cert {args.out}/server.pem --client-ca {args.out}/ca.pem"
    print(f"next: slimserve render {server}")
    caller = f"--tls-ca {args.out}/ca.pem --tls-cert {args.out}/caller.pem --tls-key {args.out}/caller.key"
    print(f"next: slimserve status --server {args.hosts[0]}:8500 {caller}")
    return 0


def make(hosts: Sequence[str], days: int) -> dict[str, str]:
    """PEM text by file name: of the authority, of a server with these names and addresses, and of a caller.

    Raises:
        ServingConfigError: a name is none.
    """
    authority_key = ec.generate_private_key(ec.SECP256R1())
    by = authority_key.public_key()
    authority = _builder("slimserve trial", by, by, days)
    authority = authority.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    authority = authority.add_extension(_usage("key_cert_sign", "crl_sign"), critical=True)
    files = {"ca.pem": _pem(authority.sign(authority_key, hashes.SHA256())), ".gitignore": "*\n"}
    for name, usage, names in (
        ("server", ExtendedKeyUsageOID.SERVER_AUTH, [_name(host) for host in hosts]),
        ("caller", ExtendedKeyUsageOID.CLIENT_AUTH, [x509.DNSName("caller")]),
    ):
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(name, key.public_key(), by, days)
        builder = builder.add_extension(_usage("digital_signature"), critical=True)
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        files[f"{name}.pem"] = _pem(builder.sign(authority_key, hashes.SHA256()))
        files[f"{name}.key"] = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
    return files


def _builder(
    subject: str, key: ec.EllipticCurvePublicKey, by: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    """A certificate of `key`, to be signed by the authority whose key is `by`."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "slimserve trial")]))
        .public_key(key)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by), critical=False)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _HOUR)  # clocks differ
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _usage(*wanted: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{name: name in wanted for name in _USAGES.split()})


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    # A URL, HOST:PORT or a folder would make a certificate that no caller ever takes.
    if not _HOST.fullmatch(host):
        raise ServingConfigError(
            f"{host} is no name of a host: give a name or an address alone, without a scheme, a port or a path "
            "(--out names the folder)"
        )
    try:
        return x509.DNSName(host)
    except ValueError as error:
        raise ServingConfigError(f"{host} is no name of a host: {error}") from error


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
