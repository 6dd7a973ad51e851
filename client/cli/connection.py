"""From the options that every command has to a client."""

from __future__ import annotations

import argparse
from pathlib import Path

from .. import TLS, Client, InvalidInput


def connect(options: argparse.Namespace) -> Client:
    """Make the client that the options of every command ask for. Raises InvalidInput."""
    tls = TLS(options.tls_ca, options.tls_cert, options.tls_key, options.tls_server_name)
    return Client(
        options.server,
        model=options.model,
        version=options.version,
        version_label=options.version_label,
        timeout=options.timeout,
        connect_timeout=options.connect_timeout,
        tls=tls if options.tls or tls != TLS() else False,
        token=_read_token(options.token_file) if options.token_file else None,
        compression=options.compression,
    )


def _read_token(path: Path) -> str:
    try:
        token = path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise InvalidInput(f"the token file {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:  # not as the cause: it holds the token
        raise InvalidInput(f"the token file {path} holds bytes that cannot be sent in a header") from None
    if not token:
        raise InvalidInput(f"the token file {path} is empty")
    return token
