"""The variables of a container: their values, as far as the files that set them are at hand."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

UNKNOWN = "$(?)"
"""Stands in for a value that is set elsewhere. Nothing is said of what holds it."""
_REFERENCE = re.compile(r"\$(?:\$|\((?P<name>[^()$]+)\))")
_LEFT_OVER = re.compile(r"\$(?:\(?[A-Za-z_]|\{)")


@dataclass(frozen=True)
class Environment:
    """The variables that a container is started with."""

    given: Mapping[str, str] = field(default_factory=dict)
    complete: bool = True
    """False where some come from what is not at hand, so that any other may be set."""

    def value(self, name: str, default: str) -> str:
        """The variable's value, or `default` where nothing sets it."""
        return self.given.get(name, default if self.complete else UNKNOWN)

    def referred(self, text: str) -> str:
        """The text as Kubernetes hands it on: `$(NAME)` filled in, `$$` a $."""

        def value(match: re.Match[str]) -> str:
            return self.value(match["name"], match[0]) if match["name"] else "$"

        return _REFERENCE.sub(value, text)


def left_over(text: str) -> bool:
    """Whether a variable is left that only a shell would fill in."""
    return bool(_LEFT_OVER.search(text))
