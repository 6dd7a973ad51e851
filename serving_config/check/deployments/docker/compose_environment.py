"""The variables of a service of a compose file: its own, and those of the files that it names."""

from pathlib import Path
from typing import Any

from ...servers.environment import UNKNOWN, Environment
from ..yaml_file import Document
from . import interpolation
from .rules import compose_entries


def environment(document: Document, service: dict[str, Any]) -> Environment:
    """The variables of the service's container; later files go before earlier ones, and its own before all."""
    found: dict[str, str] = {}
    complete = True
    handed_on = interpolation.env_file(document.path.parent / ".env")
    for path, _ in compose_entries.env_files(service):
        file = document.path.parent / Path(path).expanduser()
        complete = complete and file.is_file()
        found |= interpolation.env_file(file)
    for name, value in compose_entries.variables(service.get("environment")):
        # One without a value is handed on, from .env or from whoever starts the container.
        found[name] = handed_on.get(name, UNKNOWN) if value is None else value
    return Environment(found, complete)
