"""What the commands that talk to a running server have in common: where it is, and what it serves."""

import argparse
import contextlib
from collections.abc import Iterator
from pathlib import Path

from ..deploy.wanted import FILE, Wanted
from ..errors import COMMAND, ServingConfigError
from ..paths import path_argument
from ..server import models_config
from ..server.api import CallerTls, ModelService

_SHIPPED, _RENDERED = Path("serving_config", "models.config"), Path("deploy")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --server, the TLS files, --deployment, --models-config, --models-root and --model."""
    parser.add_argument(
        "--server",
        action="append",
        metavar="HOST:PORT",
        help="may be repeated, for several servers with one models.config (default: localhost:8500)",
    )
    for option, meaning in (
        ("--tls-ca", "TLS: the authority that signed the server"),
        ("--tls-cert", "mutual TLS: this caller's certificate"),
        ("--tls-key", "mutual TLS: its key"),
    ):
        parser.add_argument(option, type=path_argument, metavar="PEM", help=meaning)
    parser.add_argument(
        "--deployment",
        type=path_argument,
        metavar="FOLDER",
        help=f"what `render` wrote, with {FILE} in it (default: {_RENDERED}, where that has one)",
    )
    parser.add_argument(
        "--models-config",
        type=path_argument,
        metavar="FILE",
        help="without a deployment: the file that the server was started from, with `up --models-config FILE` or "
        f"compose; kept in step (default: {_SHIPPED})",
    )
    parser.add_argument(
        "--models-root",
        type=path_argument,
        default=models_config.MODELS,
        metavar="FOLDER",
        help="without a deployment: what base paths under /models stand for on this machine (default: %(default)s)",
    )
    parser.add_argument("--model", metavar="NAME", help="which model; needed where the file lists several")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def deployment(args: argparse.Namespace) -> Wanted | None:
    """The wanted state of the deployment that the arguments mean; None where they mean a models.config alone.

    Raises:
        ServingConfigError: the folder that was named has none, or it cannot be read.
    """
    folder: Path = args.deployment or (args.models_config.parent if args.models_config else _RENDERED)
    if (folder / FILE).is_file():
        return Wanted(folder)
    if args.deployment:
        raise ServingConfigError(f"{folder} has no {FILE}: name the folder that `{COMMAND} render` wrote")
    return None


def config_file(args: argparse.Namespace, wanted: Wanted | None) -> Path:
    """The models.config that the server was started from."""
    return wanted.out / _SHIPPED.name if wanted else args.models_config or _SHIPPED


def models_root(args: argparse.Namespace, wanted: Wanted | None) -> models_config.ModelsRoot:
    """What base paths stand for on this machine."""
    if wanted is None:
        root: Path = args.models_root
        return root
    return {f"/models/{name}": wanted.folder(name) for name in wanted.model_names}


@contextlib.contextmanager
def connected(args: argparse.Namespace) -> Iterator[list[ModelService]]:
    """The servers that the arguments name, while the context is open.

    Raises:
        ServingConfigError: a certificate file cannot be read, or is missing beside another.
    """
    if bool(args.tls_cert) != bool(args.tls_key):
        raise ServingConfigError("mutual TLS needs both: give --tls-cert and --tls-key")
    files = (args.tls_ca, args.tls_cert, args.tls_key)
    tls = CallerTls(*map(_pem, files)) if any(files) else None
    with contextlib.ExitStack() as stack:
        services = [ModelService(address, tls) for address in args.server or ["localhost:8500"]]
        for service in services:
            stack.callback(service.close)
        yield services


def _pem(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise ServingConfigError(f"{path}: cannot read the certificate file: {error.strerror}") from error
