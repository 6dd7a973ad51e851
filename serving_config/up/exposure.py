"""Say who can reach a server: TensorFlow Serving asks its callers for no name, TLS with client certificates does."""

import ipaddress
import socket
import sys


def warn(engine: str, host: str, encrypted: bool) -> None:
    """Warn on stderr of a server that more than this machine reaches, and of what they may do without TLS."""
    reached = not is_loopback(host)
    if engine == "binary" and not reached:
        reached = True
        print(
            f"warning: tensorflow_model_server listens on every interface of this machine, not on {host} alone",
            file=sys.stderr,
        )
    if reached and not encrypted:
        print(
            "warning: there is no TLS: whoever reaches the port may read what is sent, use the models and replace the "
            "configuration; serve with --ssl-config, or behind a firewall",
            file=sys.stderr,
        )


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches the address or name."""
    try:
        addresses = {entry[4][0] for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return all(ipaddress.ip_address(address).is_loopback for address in addresses)
