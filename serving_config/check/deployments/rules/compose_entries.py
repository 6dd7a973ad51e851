"""Ports and volumes of a compose file: each is a line of text, or a mapping."""

import re
from typing import Any, NamedTuple

_PORT = re.compile(
    r"(?:(?P<host>\[[^\]]+\]|[^:\[\]]*):)?(?:(?P<published>\d+(?:-\d+)?)?:)?(?P<target>\d+(?:-\d+)?)(?:/(?P<protocol>tcp|udp|sctp))?"
)
_DRIVE = re.compile(r"^([A-Za-z]):(?=\\|/[^:]*:/)")


class Port(NamedTuple):
    """What is published: numbers and ranges as text, empty where nothing is said."""

    host: str
    published: str
    target: str
    protocol: str


def port(entry: Any) -> Port | None:
    """A port of a service; None where it is written as none."""
    if isinstance(entry, dict):
        return Port(*(str(entry.get(key) or "") for key in ("host_ip", "published", "target", "protocol")))
    match = _PORT.fullmatch(str(entry))
    return match and Port(*(part or "" for part in match.groups()))


def mounted(volume: Any) -> tuple[str, str, bool]:
    """Source, target, and whether it is mounted writable."""
    if isinstance(volume, str):
        source, _, rest = _DRIVE.sub(r"\1;", volume).partition(":")  # a colon of Windows is no border
        target, _, options = rest.partition(":")
        return source, target or source, "ro" not in options.split(",")
    source, target = (str(volume.get(key, "")) for key in ("source", "target"))
    return source, target, volume.get("type") == "bind" and volume.get("read_only") is not True
