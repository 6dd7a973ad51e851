"""What the commands that talk to a running server have in common: where it is, and what it serves."""

import argparse
from pathlib import Path

from .. import models_config
from ..errors import ServingConfigError
from ..server_api import CallerTls, ModelService

_SHIPPED = Path("serving_config", "models.config")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --server, the TLS files, --models-config, --models-root and --model."""
    parser.add_argument(
        "--server", default="localhost:8500", metavar="HOST:PORT", help="default: %(default)s"
    )
    for option, meaning in (
        ("--tls-ca", "TLS: the authority that signed the server"),
        ("--tls-cert", "mutual TLS: this caller's certificate"),
        ("--tls-key", "mutual TLS: its key"),
    ):
        parser.add_argument(option, type=Path, metavar="PEM", help=meaning)
    parser.add_argument(
        "--models-config",
        type=Path,
        default=_SHIPPED,
        metavar="FILE",
        help="the file that the server was started from, with `up --models-config FILE` or compose; kept in step "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--models-root",
        type=Path,
        default=models_config.MODELS,
        metavar="FOLDER",
        help="what base paths under /models stand for on this machine (default: %(default)s)",
    )
    parser.add_argument("--model", metavar="NAME", help="which model; needed where the file lists several")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def connect(args: argparse.Namespace) -> ModelService:
    """The server that the arguments name.

    Raises:
        ServingConfigError: a certificate file cannot be read, or is missing beside another.
    """
    if bool(args.tls_cert) != bool(args.tls_key):
        raise ServingConfigError("mutual TLS needs both: give --tls-cert and --tls-key")
    files = (args.tls_ca, args.tls_cert, args.tls_key)
    return ModelService(args.server, CallerTls(*map(_pem, files)) if any(files) else None)


def _pem(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise ServingConfigError(f"{path}: cannot read the certificate file: {error.strerror}") from error
