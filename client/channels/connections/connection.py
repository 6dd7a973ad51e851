"""A connection to each server: credentials, token, compression and the channel options that make it last."""

from __future__ import annotations

import functools
import json
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import grpc

from ...errors import InvalidInput
from ...limits import LARGEST_MESSAGE, brief
from ...wire.messages import GET_MODEL_STATUS
from ..addresses import hosts, is_loopback, look_up, parse_addresses, shown
from ..failures import Failure, failure_of
from ..replicas.following import Following
from ..replicas.replica import Replica
from ..retry import Retry
from ..steps import Metadata
from .headers import GivenMetadata, Token, check_metadata, sent_with_each
from .proxies import environment_proxy, goes_direct, proxy_options

if TYPE_CHECKING:
    from .tls import Security

_PROBE = 1.0  # seconds to find out why a connection fails
_LOOK = 0.3  # seconds to find out whether anything listens
CONNECT_ATTEMPT = 3.0  # seconds after which a connection that does not come about is given up

Compression: TypeAlias = Literal["gzip", "deflate"]


class Connection(NamedTuple):
    """Everything needed to open a channel to each of `targets` (gRPC name syntax), and what is sent with each call."""

    targets: tuple[str, ...]
    following: Following
    alone: bool  # whether there is one replica, and there cannot be more
    credentials: grpc.ChannelCredentials | None
    options: tuple[tuple[str, Any], ...]
    compression: grpc.Compression
    metadata: Callable[[], Metadata]  # the token of now, and what else the client sends with each call
    proxy: str | bool | None

    def __str__(self) -> str:
        return ", ".join(map(shown, self.targets))

    def open(self, replica: Replica, stack: Any = grpc, **arguments: Any) -> Any:
        """Open a channel by `grpc` or by `grpc.aio`; connecting waits for the first call."""
        endpoint = replica.endpoint
        options = dict(self.options)
        # Not the connection that other clients of this process share, which has gone silent.
        if replica.abandoned:
            options["grpc.use_local_subchannel_pool"] = 1
        if endpoint.name:  # the certificate is made out to the name, not to the address
            host = endpoint.name.rpartition(":")[0]
            options = {
                "grpc.default_authority": endpoint.name,
                "grpc.ssl_target_name_override": host,
                **options,
            }
        return self._open(stack, endpoint.target, options, **arguments)

    def _open(self, stack: Any, target: str, options: dict[str, Any], **arguments: Any) -> Any:
        if is_loopback(target):  # whatever the environment says: a token for this machine stays here
            options = {"grpc.enable_http_proxy": 0, **options}
        if self.credentials is None:
            return stack.insecure_channel(target, tuple(options.items()), self.compression, **arguments)
        return stack.secure_channel(
            target, self.credentials, tuple(options.items()), self.compression, **arguments
        )

    def note(self) -> str:
        """Say which proxy is between, for an error."""
        away = [host for target in self.targets if not is_loopback(target) for host in hosts(target)]
        variables = set(map(environment_proxy, away)) - {""}
        if isinstance(self.proxy, str):
            return " through proxy="
        if variables and self.proxy is not False:
            return (
                f" through the proxy that {variables.pop()} names (no_proxy excepts hosts, proxy=False all)"
            )
        return ""

    def is_refused_by(self, replica: Replica) -> bool:
        """Whether nothing listens at a replica's address, by TCP's own word; gRPC's status does not tell."""
        host, _, port = shown(replica.endpoint.target).rpartition(":")
        if not port.isdecimal() or isinstance(self.proxy, str):
            return False
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=_LOOK).close()
        except (OSError, UnicodeError) as error:
            return isinstance(error, ConnectionRefusedError)
        return False

    def explain(self, failure: Failure) -> Failure:
        """Look closer at why no connection comes about: gRPC reports one of a name's addresses, the one it tried last.

        That may be ::1 of localhost, where nothing listens, when the server at 127.0.0.1 wants TLS.
        """
        if not failure.was_refused:
            return failure
        found = map(failure_of, self._probe())
        return next((other for other in found if other.cause and not other.was_refused), failure)

    def _probe(self) -> Iterator[grpc.RpcError]:
        """Try each address of each target once, on a connection of its own: the errors of those that fail."""
        for target in self.targets:
            host, _, port = shown(target).rpartition(":")
            # The certificate is made out to the host, not to its address.
            options = {"grpc.ssl_target_name_override": host, **dict(self.options), "grpc.enable_retries": 0}
            for numeric in look_up(host.strip("[]"), port):
                with self._open(grpc, numeric, options) as channel:
                    try:
                        channel.unary_unary(GET_MODEL_STATUS, None, None)(b"", timeout=_PROBE)
                    except grpc.RpcError as error:
                        yield error


class Channel:
    """A channel of `grpc` or `grpc.aio`, and its methods, made once: bytes in, bytes out."""

    def __init__(self, channel: Any) -> None:
        self.channel = channel
        self.method = functools.cache(lambda name: channel.unary_unary(name, None, None))


def make_connection(
    server: str | Sequence[str],
    tls: Security = False,
    token: Token | None = None,
    compression: Compression | None = None,
    retry: Retry | None = None,
    metadata: GivenMetadata = (),
    proxy: str | bool | None = None,
) -> Connection:
    """Check the arguments that Client and AsyncClient share. Raises InvalidInput."""
    targets = parse_addresses(server)
    options = list(_OPTIONS)
    credentials = None
    if tls is not False:
        from .tls import TLS, channel_credentials

        credentials = channel_credentials(tls)
        if isinstance(tls, TLS) and tls.server_name:
            options.append(("grpc.ssl_target_name_override", tls.server_name))
    options += proxy_options(proxy)
    if token is not None and tls is False:
        if not all(is_loopback(target) for target in targets):
            raise InvalidInput("a token would travel in the clear: use tls=, or a server on this machine")
        if isinstance(proxy, str):
            raise InvalidInput("a token would travel in the clear to the proxy: use tls=, or no proxy=")
    compressions = {None: grpc.Compression.NoCompression, "gzip": grpc.Compression.Gzip}
    compressions["deflate"] = grpc.Compression.Deflate
    if compression is not None and (not isinstance(compression, str) or compression not in compressions):
        raise InvalidInput(f"compression is {brief(compression)} and must be 'gzip', 'deflate' or None")
    following = Following(targets, lambda host: goes_direct(host, proxy))
    alone = len(following.endpoints()) == 1 and not following.names
    options.append(("grpc.service_config", json.dumps(_service_config(retry or Retry(), alone))))
    return Connection(
        targets,
        following,
        alone,
        credentials,
        tuple(options),
        compressions[compression],
        sent_with_each(token, check_metadata(metadata)),
        proxy,
    )


AGAIN_AFTER = 0.25  # seconds after which gRPC sends again; a call that failed sooner, it did not send again
# Tokens of gRPC's throttle (gRFC A6): a failure takes one; half of them gone, nothing is sent again.
_THROTTLED = 20


def _service_config(retry: Retry, alone: bool) -> dict[str, Any]:
    """Have gRPC itself send again what broke before its answer began, twice to a replica that is alone, else once.

    It alone knows what had begun (gRFC A6). Its throttle is the budget where the replica is alone.
    """
    config: dict[str, Any] = {"loadBalancingConfig": [{"round_robin": {}}]}
    if retry.attempts == 1 or not retry.budget or grpc.StatusCode.UNAVAILABLE not in retry.on:
        return config
    policy = {
        "maxAttempts": min(retry.attempts, 3) if alone else 2,
        "initialBackoff": f"{AGAIN_AFTER}s",
        "maxBackoff": f"{AGAIN_AFTER}s",
        "backoffMultiplier": 1,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    services = ("PredictionService", "ModelService")  # the question of health is for how a replica is now
    names = [{"service": f"tensorflow.serving.{service}"} for service in services]
    config["methodConfig"] = [{"name": names, "retryPolicy": policy}]
    if alone:
        config["retryThrottling"] = {"maxTokens": _THROTTLED, "tokenRatio": min(retry.budget, 1.0)}
    return config


_OPTIONS: tuple[tuple[str, Any], ...] = (
    ("grpc.per_rpc_retry_buffer_size", LARGEST_MESSAGE),  # larger requests would not be retried
    ("grpc.max_send_message_length", LARGEST_MESSAGE),
    ("grpc.max_receive_message_length", LARGEST_MESSAGE),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),  # a replica that returns is used again soon after
    ("grpc.min_reconnect_backoff_ms", int(CONNECT_ATTEMPT * 1000)),
    ("grpc.dns_min_time_between_resolutions_ms", 5_000),
    # A server with gRPC's defaults, as TensorFlow Serving, hangs up on clients that ping more often than every five
    # minutes, or without a call in flight. The option's other effect is the one that counts: data that stays
    # unacknowledged for the timeout ends a dead connection (gRFC A18).
    ("grpc.keepalive_time_ms", 330_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 0),
)
