"""HTTP proxies: those of the environment, one that is named, or none."""

from __future__ import annotations

import ipaddress
import os
import re
from typing import Any

from ...errors import InvalidInput

_VARIABLES = ("grpc_proxy", "https_proxy", "http_proxy")  # gRPC takes the first that is set
_EXCEPTIONS = ("no_grpc_proxy", "no_proxy")


def proxy_options(proxy: str | bool | None) -> list[tuple[str, Any]]:
    """Give the channel options for `proxy=`. Raises InvalidInput."""
    if proxy is None or proxy is True:
        return []
    if proxy is False:
        return [("grpc.enable_http_proxy", 0)]
    if not isinstance(proxy, str) or not re.fullmatch(r"http://[^\s/]+/?", proxy):
        raise InvalidInput("proxy= is http://host:port, False for none, or None for that of the environment")
    return [("grpc.http_proxy", proxy), ("grpc.enable_http_proxy", 1)]


def environment_proxy(host: str) -> str:
    """Give the variable that makes gRPC reach a host through a proxy; empty where none does."""
    variable = next((name for name in _VARIABLES if os.environ.get(name)), "")
    exceptions = next((os.environ[name] for name in _EXCEPTIONS if os.environ.get(name)), "")
    excepted = any(_excepts(entry, host) for entry in map(str.strip, exceptions.split(",")) if entry)
    return "" if excepted else variable


def _excepts(entry: str, host: str) -> bool:
    """Whether an entry of `no_proxy`, the end of names or a network of addresses, excepts a host."""
    if host.endswith(entry.lstrip(".")):
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:  # one of them is a name
        return False


def goes_direct(host: str, proxy: str | bool | None) -> bool:
    """Whether a host is reached without a proxy, which would look up its addresses by itself."""
    return proxy is False or not (isinstance(proxy, str) or environment_proxy(host))
