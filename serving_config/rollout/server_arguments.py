"""What the commands that talk to a running server have in common: where it is, and what it serves."""

import argparse
from pathlib import Path

from .. import models_config
from ..errors import ServingConfigError
from ..server_api import ModelService, Tls

_SHIPPED = Path("serving_config", "models.config")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --server, the TLS files, --models-config, --models-root and --model."""
    parser.add_argument(
        "--server", default="localhost:8500", metavar="HOST:PORT", help="default: %(default)s"
    )
    parser.add_argument("--ca", type=Path, metavar="PEM", help="TLS: the authority that signed the server")
    parser.add_argument("--cert", type=Path, metavar="PEM", help="mutual TLS: this caller's certificate")
    parser.add_argument("--key", type=Path, metavar="PEM", help="mutual TLS: its key")
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
    if bool(args.cert) != bool(args.key):
        raise ServingConfigError("mutual TLS needs both: give --cert and --key")
    if not (args.ca or args.cert):
        return ModelService(args.server)
    return ModelService(args.server, Tls(*(_pem(path) for path in (args.ca, args.cert, args.key))))


def _pem(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise ServingConfigError(f"{path}: cannot read the certificate file: {error.strerror}") from error
