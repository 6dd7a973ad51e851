"""The image that a service of a compose file builds, where its Dockerfile is at hand."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...finding import Finding
from ..yaml_file import Document
from . import dockerfile
from .image import Image
from .rules import compose_entries


@dataclass(frozen=True)
class Build:
    """What a service builds: from which Dockerfile, in which folder, up to which stage, with which arguments."""

    dockerfile: Path
    context: Path
    target: str
    arguments: Mapping[str, str]
    text: str = ""
    """What the Dockerfile says, where it stands in the compose file, on its lines there."""

    def image(self) -> tuple[Image | None, list[Finding]]:
        """The image, None where its Dockerfile is not to be read, or would end the build; and faults of what stands
        in the compose file, for a file of its own is checked by itself.
        """
        try:
            made, faults = dockerfile.read(
                self.dockerfile, self.context, self.target, self.arguments, self.text
            )
        except (OSError, UnicodeDecodeError):
            return None, []
        return made, faults if self.text else []


def build(document: Document, name: str, service: Mapping[str, Any]) -> Build | None:
    """What the service builds; None where it builds nothing, or from what is not here."""
    given = service.get("build")
    given = {"context": given} if isinstance(given, str) else given
    if not isinstance(given, dict):
        return None
    context = str(given.get("context") or ".")
    if "://" in context or "$" in context or context.startswith("git@"):
        return None
    folder = document.path.parent / Path(context).expanduser()
    variables = compose_entries.variables(given.get("args"))
    named = {name: value for name, value in variables if value is not None}
    target, inline = str(given.get("target") or ""), given.get("dockerfile_inline")
    if isinstance(inline, str):
        # A text of several lines begins on the line below its key.
        above = document.line("services", name, "build", "dockerfile_inline") - 1 + ("\n" in inline)
        return Build(document.path, folder, target, named, "\n" * above + inline)
    return Build(folder / str(given.get("dockerfile") or "Dockerfile"), folder, target, named)
