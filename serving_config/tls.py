"""TensorFlow Serving's SSLConfig: the certificates of the server, as PEM text in one file."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf import message_factory, text_format

from .check.messages import message
from .errors import ServingConfigError


@dataclass(frozen=True)
class ServerTls:
    """PEM text; with `client_ca`, only callers that it has signed are answered."""

    key: bytes = field(repr=False)
    certificate: bytes
    client_ca: bytes | None = None


def read(path: Path) -> ServerTls:
    """The parsed file (`--ssl_config_file` of TensorFlow Serving, config/ssl_config.proto).

    Raises:
        ServingConfigError: the file cannot be read, is no SSLConfig, or lacks what it needs.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ServingConfigError(f"{path}: cannot read the TLS configuration: {reason}") from error
    config: Any = message_factory.GetMessageClass(message("SSLConfig"))()
    try:
        text_format.Parse(text, config)
    except text_format.ParseError as error:
        # Its message quotes the line, which may be the key's.
        where = f"{error.GetLine()}:{error.GetColumn()}"
        raise ServingConfigError(
            f"{path}: not an SSLConfig text proto: {where} breaks its grammar, or is no field of it"
        ) from None
    for name in ("server_key", "server_cert", *(["custom_ca"] if config.client_verify else [])):
        if "-----BEGIN " not in getattr(config, name):
            raise ServingConfigError(f"{path}: {name} must hold PEM text (-----BEGIN ...), not a file name")
    return ServerTls(
        key=config.server_key.encode(),
        certificate=config.server_cert.encode(),
        client_ca=config.custom_ca.encode() if config.client_verify else None,
    )
