"""Server addresses, as people write them and as gRPC names them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from ..errors import InvalidInput

DEFAULT_PORT = 8500
_RESOLVERS = ("dns:", "ipv4:", "ipv6:", "unix:", "unix-abstract:", "xds:")


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
