"""A text that stands in a manifest in the place of a file: a key of a ConfigMap, a literal of a kustomization."""

from dataclasses import dataclass
from pathlib import Path

from ..finding import Finding
from . import text_proto
from .text_proto import Node


@dataclass(frozen=True)
class HeldText:
    """A text by its key, and what is wrong with it where it is meant as text format; then `root` has no fields."""

    key: str
    root: Node
    faults: list[Finding]


def read(key: str, text: str, path: Path, first_line: int) -> HeldText:
    """The text of a key, which stands in the file at `path` from a line on."""
    root, faults = text_proto.read_text(text, path, first_line)
    return HeldText(key, root or Node("", path, first_line, 0, 0, source=text), faults)
