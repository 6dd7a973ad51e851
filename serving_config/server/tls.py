"""The certificates of a server, and TensorFlow Serving's SSLConfig, which holds them as PEM text in one file."""

from dataclasses import dataclass, field
from pathlib import Path

from google.protobuf import text_format

from ..errors import ServingConfigError
from .protocol import SSLConfig


@dataclass(frozen=True)
class ServerTls:
    """PEM text; with `client_ca`, only callers that it has signed are answered."""

    key: str = field(repr=False)
    certificate: str
    client_ca: str | None = None

    def fields(self) -> str:
        """The fields of an SSLConfig text proto, a line of PEM text on each of its lines."""
        fields = [_pem("server_key", self.key), _pem("server_cert", self.certificate)]
        if self.client_ca is not None:
            fields += [_pem("custom_ca", self.client_ca), "client_verify: true\n"]
        return "".join(fields)


def _pem(name: str, text: str) -> str:
    return f"{name}:\n" + "".join(f'  "{line}\\n"\n' for line in text.strip().splitlines())


def read(path: Path) -> ServerTls:
    """The parsed file (`--ssl_config_file` of TensorFlow Serving, config/ssl_config.proto).

    Raises:
        ServingConfigError: the file cannot be read, is no SSLConfig, or lacks what it needs.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ServingConfigError(f"{path}: cannot read the TLS configuration: {reason}") from error
    try:
        config = text_format.Parse(text, SSLConfig())
    except text_format.ParseError as error:
        # Its message quotes the line, which may be the key's.
        where = f"{error.GetLine()}:{error.GetColumn()}"
        raise ServingConfigError(
            f"{path}: not an SSLConfig text proto: {where} breaks its grammar, or is no field of it"
        ) from None
    for name in ("server_key", "server_cert", *(["custom_ca"] if config.client_verify else [])):
        if "-----BEGIN " not in getattr(config, name):
            raise ServingConfigError(f"{path}: {name} must hold PEM text (-----BEGIN ...), not a file name")
    client_ca = config.custom_ca if config.client_verify else None
    return ServerTls(config.server_key, config.server_cert, client_ca)
