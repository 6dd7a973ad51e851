"""Server addresses, as people write them and as gRPC names them."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
from collections.abc import Iterable, Sequence
from typing import Any

from ..errors import InvalidInput
from ..limits import brief, check_text

DEFAULT_PORT = 8500
_RESOLVERS = ("dns:", "ipv4:", "ipv6:", "unix:", "unix-abstract:", "xds:")


def parse_addresses(server: str | Sequence[str]) -> tuple[str, ...]:
    """Turn `host:port`, several of them in a list or with commas between, or gRPC names into gRPC names.

    Raises InvalidInput.
    """
    if isinstance(server, bytes) or not isinstance(server, Iterable):
        raise InvalidInput(f"a server is host:port, or a list of them, not {brief(server)}")
    if isinstance(server, str):
        server = [server] if server.startswith(("ipv4:", "ipv6:")) else server.split(",")
    targets = tuple(_parse_address(address) for address in server)
    if not targets:
        raise InvalidInput("there is no server address")
    return targets


def _parse_address(address: str) -> str:
    check_text("a server address", address)
    address = address.strip()
    if address.startswith(_RESOLVERS):
        return address
    if "://" in address:
        raise InvalidInput(
            f"server address {brief(address)}: leave out {address.split('://')[0]:.20}://, and use the gRPC port"
        )
    match = re.fullmatch(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^\s:/\[\]]+)(:(?P<port>[0-9]+))?", address)
    if match is None:
        raise InvalidInput(f"server address {brief(address)} is not host:port{_bracket_hint(address)}")
    port = int(match["port"] or DEFAULT_PORT)
    if not 0 < port < 65536:
        raise InvalidInput(f"server address {brief(address)}: there is no port {port}")
    return f"dns:///{match['host']}:{port}"


def _bracket_hint(address: str) -> str:
    """Say how an IPv6 address is written; empty where it is none."""
    host, _, port = address.rpartition(":")
    for bare, behind in ((host, f":{port}"), (address, "")):
        with contextlib.suppress(ValueError):
            return f": an IPv6 address stands in brackets, [{ipaddress.IPv6Address(bare)}]{behind}"
    return ""


def shown(target: str) -> str:
    """Give the gRPC name as messages show it: `host:port` where it is that."""
    return re.sub(r"^(dns:/*|ipv[46]:)", "", target)


def split(target: str) -> tuple[str, ...]:
    """Give each address of a gRPC name that lists several a name of its own."""
    scheme, _, listed = target.partition(":")
    if scheme not in ("ipv4", "ipv6"):
        return (target,)
    return tuple(f"{scheme}:{address}" for address in listed.split(","))


def host_and_port(target: str) -> tuple[str, str] | None:
    """Take `dns:///host:port` apart; None for any other gRPC name, one that names its DNS server included."""
    match = re.fullmatch(r"dns:(?:///)?(?P<host>[^/:]+|\[[^\]]+\]):(?P<port>\d+)", target)
    return (match["host"].strip("[]"), match["port"]) if match else None


def look_up(host: str, port: str) -> list[str]:
    """Give a gRPC name for each address of a host, which may take long; none where it is not known.

    Those that this machine has no route to, as where it has no IPv6, are left out, unless it has none to any.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # UnicodeError: a part of the name is empty, or too long
        return []
    usable = [entry for entry in found if _has_route(entry[0], entry[4])] or found
    addresses = dict.fromkeys(str(entry[0]) for *_, entry in usable)
    return [f"ipv6:[{each}]:{port}" if ":" in each else f"ipv4:{each}:{port}" for each in addresses]


def _has_route(family: int, address: Any) -> bool:
    """Tell whether this machine could send to an address; nothing is sent."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as unconnected:
            unconnected.connect(address)
    except OSError:
        return False
    return True


def is_name(host: str) -> bool:
    """Tell whether a host is a name whose addresses may change: not an address, not this machine."""
    return _numeric(host) is None and not _is_this_machine(host)


def is_loopback(target: str) -> bool:
    """Tell whether calls to a gRPC name stay on this machine."""
    return target.startswith("unix") or all(map(_is_this_machine, hosts(target)))


def hosts(target: str) -> list[str]:
    """Give the host of each address of a gRPC name, without its port."""
    return [re.sub(r":\d+$", "", shown(address)).strip("[]") for address in split(target)]


def _is_this_machine(host: str) -> bool:
    """Whether a host is the loopback, by its name or by an address of it."""
    numeric = _numeric(host)
    if numeric is None:
        return host.lower() == "localhost"
    return numeric.is_loopback or numeric.is_unspecified  # to which a connection is one to this machine


def _numeric(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
