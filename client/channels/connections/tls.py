"""TLS: certificates and keys from files."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TypeAlias

import grpc

from ...errors import InvalidInput
from ...limits import brief, brief_path


@dataclass(frozen=True)
class TLS:
    """TLS to the server, mutual where the client shows a certificate too.

    `ca` is the file of the certificates to trust, those that gRPC carries by default; `certificate` and `key` are the
    client's own; all PEM. `server_name` is the name in the server's certificate where it is not the address.
    """

    ca: str | os.PathLike[str] | None = None
    certificate: str | os.PathLike[str] | None = None
    key: str | os.PathLike[str] | None = None
    server_name: str | None = None


Security: TypeAlias = "bool | str | os.PathLike[str] | TLS | grpc.ChannelCredentials"
"""False for none, True for the authorities that gRPC trusts, the file of a CA certificate, or all of it."""


def channel_credentials(tls: Security) -> grpc.ChannelCredentials:
    """Read the files of what is not False. Raises InvalidInput for files that cannot be used."""
    if isinstance(tls, grpc.ChannelCredentials):
        return tls
    if tls is None:  # of a setting that is missing: a call in the clear, or over TLS, would be a guess
        raise InvalidInput("tls is None: give False for none, True for the usual authorities, or a file")
    files = TLS() if isinstance(tls, bool) else tls if isinstance(tls, TLS) else TLS(ca=tls)
    for file in (files.ca, files.certificate, files.key):
        # A number would be a descriptor, which opening and closing takes from its owner.
        if file is not None and not isinstance(file, (str, os.PathLike)):
            raise InvalidInput(
                f"tls is True, a file, a TLS of files, or gRPC's credentials, not {brief(file)}"
            )
    if (files.certificate is None) != (files.key is None):
        raise InvalidInput("a client certificate and its key are needed both, or neither")
    return grpc.ssl_channel_credentials(
        _read_pem(files.ca, b"CERTIFICATE"),
        _read_pem(files.key, b"KEY"),
        _read_pem(files.certificate, b"CERTIFICATE"),
    )


def _read_pem(path: str | os.PathLike[str] | None, kind: bytes) -> bytes | None:
    if path is None:
        return None
    try:
        with open(path, "rb") as file:
            pem = file.read()
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        reason = (error.strerror if isinstance(error, OSError) else None) or "no file has such a name"
        raise InvalidInput(f"TLS file {brief_path(path)} cannot be read: {reason}") from error
    if not re.search(rb"-----BEGIN [A-Z ]*" + kind + rb"-----", pem):
        raise InvalidInput(f"TLS file {brief_path(path)} holds no PEM {kind.decode().lower()}")
    return pem
