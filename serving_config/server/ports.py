"""TCP ports of this machine."""

import ipaddress
import os
import socket

from ..errors import ServingConfigError


def address(host: str, port: int) -> str:
    """HOST:PORT, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(address: str) -> bool:
    """Whether HOST:PORT names this machine, by `localhost` or by an address of its loopback."""
    host = address.rpartition(":")[0].strip("[]")
    try:
        return host.lower() == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def free(host: str) -> int:
    """A port that nobody listens on at this moment."""
    with socket.create_server((host, 0), family=_family(host)) as listener:
        return int(listener.getsockname()[1])


def check_free(host: str, port: int) -> None:
    """Refuse an address that cannot be listened on; port 0 stands for any free one.

    Raises:
        ServingConfigError: the port is taken or not allowed, or the address is not this machine's.
    """
    try:
        socket.create_server((host, port), family=_family(host)).close()
    except OverflowError as error:
        raise ServingConfigError(f"{port} is no port: choose one up to 65535 with --port") from error
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise ServingConfigError(
            f"cannot listen on {address(host, port)} ({reason}): choose another with --port or --host"
        ) from error


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
