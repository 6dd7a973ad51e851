"""The variables of a service of a compose file: its own, and those of the files that it names."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...servers.environment import UNKNOWN, Environment
from ..yaml_file import Document
from . import interpolation


def environment(document: Document, service: dict[str, Any]) -> Environment:
    """The variables of the service's container; later files go before earlier ones, and its own before all."""
    found: dict[str, str] = {}
    complete = True
    handed_on = interpolation.env_file(document.path.parent / ".env")
    for path in _files(document, service):
        if path.is_file():
            found |= interpolation.env_file(path)
        else:
            complete = False
    for name, value in _own(service):
        # One without a value is handed on, from .env or from whoever starts the container.
        found[name] = handed_on.get(name, UNKNOWN) if value is None else value
    return Environment(found, complete)


def _files(document: Document, service: dict[str, Any]) -> Iterator[Path]:
    given = service.get("env_file") or []
    for entry in given if isinstance(given, list) else [given]:
        path = entry.get("path") if isinstance(entry, dict) else entry
        yield document.path.parent / Path(str(path)).expanduser()


def _own(service: dict[str, Any]) -> Iterator[tuple[str, str | None]]:
    given = service.get("environment") or {}
    if isinstance(given, dict):
        yield from ((name, None if value is None else str(value)) for name, value in given.items())
        return
    for entry in given:
        name, equals, value = str(entry).partition("=")
        yield name, value if equals else None
