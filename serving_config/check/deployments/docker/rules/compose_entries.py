"""Entries of a compose file that are written as text or as a mapping: ports, volumes, variables and files of them."""

import re
from collections.abc import Iterator, Mapping
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


def variables(given: Any) -> Iterator[tuple[str, str | None]]:
    """The names and values of `environment` or `args`; None for a value that is not given."""
    if isinstance(given, dict):
        yield from ((name, None if value is None else str(value)) for name, value in given.items())
        return
    for entry in given or ():
        name, equals, value = str(entry).partition("=")
        yield name, value if equals else None


def env_files(service: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """The files of variables that a service names, and whether each has to be there."""
    given = service.get("env_file") or []
    for entry in given if isinstance(given, list) else [given]:
        named = entry if isinstance(entry, dict) else {"path": entry}
        yield str(named.get("path")), named.get("required") is not False
