"""The shipped YAML files, edited with their comments kept."""

import io
from typing import Any

from ruamel.yaml import YAML

from .settings import shipped


def _yaml() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 4096
    return yaml


def load(name: str) -> Any:
    """A shipped file's tree."""
    return _yaml().load(shipped(name))


def dump(tree: Any) -> str:
    """The tree's text; of an untouched tree, the file's own text."""
    out = io.StringIO()
    _yaml().dump(tree, out)
    return out.getvalue()
