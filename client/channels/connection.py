"""Where the servers are and how to speak to them: addresses, TLS, credentials, channel options."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import grpc
import grpc.aio

from ..errors import InvalidInput
from ..wire.messages import GET_MODEL_STATUS, LARGEST_MESSAGE

DEFAULT_PORT = 8500
_RESOLVERS = ("dns:", "ipv4:", "ipv6:", "unix:", "unix-abstract:", "xds:")

_PROBE = 1.0  # seconds to find out why a connection fails
CONNECT_ATTEMPT = 3.0  # seconds after which a connection that does not come about is given up

Compression: TypeAlias = Literal["gzip", "deflate"]


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


@dataclass(frozen=True)
class Connection:
    """Everything needed to open a channel to each of `targets` (gRPC name syntax)."""

    targets: tuple[str, ...]
    credentials: grpc.ChannelCredentials | None
    options: tuple[tuple[str, Any], ...]
    metadata: tuple[tuple[str, str], ...] = field(repr=False)  # the token
    compression: grpc.Compression

    def __str__(self) -> str:
        return ", ".join(target.removeprefix("dns:///") for target in self.targets)

    def open(self) -> list[grpc.Channel]:
        """Open a channel to each target; connecting waits for the first call."""
        return [self._open(target, self.options) for target in self.targets]

    def _open(self, target: str, options: tuple[tuple[str, Any], ...]) -> grpc.Channel:
        if self.credentials is None:
            return grpc.insecure_channel(target, options, self.compression)
        return grpc.secure_channel(target, self.credentials, options, self.compression)

    def probe(self) -> Iterator[grpc.RpcError]:
        """Try each address of each target once, on a connection of its own: the errors of those that fail."""
        for target in self.targets:
            host, _, port = target.removeprefix("dns:///").rpartition(":")
            try:
                found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
            except OSError:
                continue
            # The certificate is made out to the host, not to its address.
            options = (("grpc.ssl_target_name_override", host), *self.options, ("grpc.enable_retries", 0))
            for address, *_ in {entry[4]: None for entry in found}:
                numeric = f"ipv6:[{address}]:{port}" if ":" in str(address) else f"ipv4:{address}:{port}"
                with self._open(numeric, tuple(dict(options).items())) as channel:
                    try:
                        channel.unary_unary(GET_MODEL_STATUS, None, None)(b"", timeout=_PROBE)
                    except grpc.RpcError as error:
                        yield error

    def open_async(self) -> list[grpc.aio.Channel]:
        """Open a channel to each target in the running event loop."""
        if self.credentials is None:
            return [
                grpc.aio.insecure_channel(target, self.options, self.compression) for target in self.targets
            ]
        return [
            grpc.aio.secure_channel(target, self.credentials, self.options, self.compression)
            for target in self.targets
        ]


def make_connection(
    server: str | Sequence[str],
    tls: bool | str | os.PathLike[str] | TLS | grpc.ChannelCredentials,
    token: str | None,
    compression: Compression | None,
) -> Connection:
    """Check the arguments that Client and AsyncClient share. Raises InvalidInput."""
    targets = parse_addresses(server)
    options = list(_OPTIONS)
    if isinstance(tls, TLS) and tls.server_name:
        options.append(("grpc.ssl_target_name_override", tls.server_name))
    metadata = []
    if token is not None:
        if tls is False and not all(is_loopback(target) for target in targets):
            raise InvalidInput("a token would travel in the clear: use tls=, or a server on this machine")
        if not re.fullmatch(r"[\x21-\x7e]+", token):
            raise InvalidInput("the token holds characters that cannot be sent in a header")
        metadata.append(("authorization", f"Bearer {token}"))
    compressions = {None: grpc.Compression.NoCompression, "gzip": grpc.Compression.Gzip}
    compressions["deflate"] = grpc.Compression.Deflate
    if compression not in compressions:
        raise InvalidInput(f"compression is {compression!r} and must be 'gzip', 'deflate' or None")
    return Connection(targets, _credentials(tls), tuple(options), tuple(metadata), compressions[compression])


def parse_addresses(server: str | Sequence[str]) -> tuple[str, ...]:
    """Turn `host:port`, several of them in a list or with commas between, or gRPC names into gRPC names.

    Raises InvalidInput.
    """
    if isinstance(server, str):
        server = [server] if server.startswith(("ipv4:", "ipv6:")) else server.split(",")
    targets = tuple(_parse_address(address.strip()) for address in server)
    if not targets:
        raise InvalidInput("there is no server address")
    return targets


def _parse_address(address: str) -> str:
    if address.startswith(_RESOLVERS):
        return address
    if "://" in address:
        raise InvalidInput(
            f"server address {address!r}: leave out {address.split('://')[0]}://, and use the gRPC port"
        )
    match = re.fullmatch(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^\s:/\[\]]+)(:(?P<port>\d+))?", address)
    if match is None:
        raise InvalidInput(f"server address {address!r} is not host:port")
    port = int(match["port"] or DEFAULT_PORT)
    if not 0 < port < 65536:
        raise InvalidInput(f"server address {address!r}: there is no port {port}")
    return f"dns:///{match['host']}:{port}"


def is_loopback(target: str) -> bool:
    """Tell whether calls to a gRPC name stay on this machine."""
    if target.startswith("unix"):
        return True
    host = re.sub(r":\d+$", "", re.sub(r"^\w+:/*", "", target)).strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _credentials(
    tls: bool | str | os.PathLike[str] | TLS | grpc.ChannelCredentials,
) -> grpc.ChannelCredentials | None:
    if tls is False:
        return None
    if isinstance(tls, grpc.ChannelCredentials):
        return tls
    files = TLS() if tls is True else tls if isinstance(tls, TLS) else TLS(ca=tls)
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
    except OSError as error:
        raise InvalidInput(f"TLS file {os.fspath(path)} cannot be read: {error.strerror}") from error
    if not re.search(rb"-----BEGIN [A-Z ]*" + kind + rb"-----", pem):
        raise InvalidInput(f"TLS file {os.fspath(path)} holds no PEM {kind.decode().lower()}")
    return pem


# gRPC itself retries what was sent and broke before the answer began (gRFC A6); this package retries what was
# never sent, until the deadline.
_SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 5,  # the most that gRPC allows
                "initialBackoff": "0.05s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
}
_OPTIONS: tuple[tuple[str, Any], ...] = (
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    ("grpc.per_rpc_retry_buffer_size", LARGEST_MESSAGE),  # larger requests would not be retried
    ("grpc.max_send_message_length", LARGEST_MESSAGE),
    ("grpc.max_receive_message_length", LARGEST_MESSAGE),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5_000),  # a replica that returns is used again soon after
    ("grpc.min_reconnect_backoff_ms", int(CONNECT_ATTEMPT * 1000)),
    ("grpc.dns_min_time_between_resolutions_ms", 5_000),
    # A server with gRPC's defaults, as TensorFlow Serving, hangs up on clients that ping more often than every five
    # minutes, or without a call in flight. The option's other effect is the one that counts: data that stays
    # unacknowledged for the timeout ends a dead connection (gRFC A18).
    ("grpc.keepalive_time_ms", 330_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 0),
)
