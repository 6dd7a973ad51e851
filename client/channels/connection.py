"""A connection to each server: credentials, token, compression and the channel options that make it last."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import grpc

from ..errors import InvalidInput
from ..limits import LARGEST_MESSAGE
from ..wire.messages import GET_MODEL_STATUS
from .addresses import is_loopback, parse_addresses
from .tls import TLS, Security, channel_credentials

_PROBE = 1.0  # seconds to find out why a connection fails
CONNECT_ATTEMPT = 3.0  # seconds after which a connection that does not come about is given up

Compression: TypeAlias = Literal["gzip", "deflate"]


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

    def open(self, stack: Any = grpc) -> list[Any]:
        """Open a channel to each target, by `grpc` or by `grpc.aio`; connecting waits for the first call."""
        return [self._open(stack, target, self.options) for target in self.targets]

    def _open(self, stack: Any, target: str, options: tuple[tuple[str, Any], ...]) -> Any:
        if self.credentials is None:
            return stack.insecure_channel(target, options, self.compression)
        return stack.secure_channel(target, self.credentials, options, self.compression)

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
                with self._open(grpc, numeric, tuple(dict(options).items())) as channel:
                    try:
                        channel.unary_unary(GET_MODEL_STATUS, None, None)(b"", timeout=_PROBE)
                    except grpc.RpcError as error:
                        yield error


def make_connection(
    server: str | Sequence[str],
    tls: Security,
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
    return Connection(
        targets, channel_credentials(tls), tuple(options), tuple(metadata), compressions[compression]
    )


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
