"""The image that a service of a compose file builds, where its Dockerfile is at hand."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..rules import compose_entries
from ..yaml_file import Document
from . import dockerfile
from .image import Image


@dataclass(frozen=True)
class Build:
    """What a service builds: from which Dockerfile, in which folder, up to which stage, with which arguments."""

    dockerfile: Path
    context: Path
    target: str
    arguments: Mapping[str, str]

    def image(self) -> Image | None:
        """The image; None where its Dockerfile is not to be read, or would end the build."""
        try:
            return dockerfile.read(self.dockerfile, self.context, self.target, self.arguments)[0]
        except (OSError, UnicodeDecodeError):
            return None


def build(document: Document, service: Mapping[str, Any]) -> Build | None:
    """What the service builds; None where it builds nothing, or from what is no file here."""
    given = service.get("build")
    given = {"context": given} if isinstance(given, str) else given
    if not isinstance(given, dict) or "dockerfile_inline" in given:
        return None
    context = str(given.get("context") or ".")
    if "://" in context or "$" in context or context.startswith("git@"):
        return None
    folder = document.path.parent / Path(context).expanduser()
    variables = compose_entries.variables(given.get("args"))
    named = {name: value for name, value in variables if value is not None}
    path = folder / str(given.get("dockerfile") or "Dockerfile")
    return Build(path, folder, str(given.get("target") or ""), named)
