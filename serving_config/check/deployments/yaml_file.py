"""YAML that knows its lines, as plain dicts and lists for the schemas."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedKeyMap, CommentedMap, CommentedSeq, TaggedScalar
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from ..finding import Finding

Place = tuple[str | int, ...]
"""Keys and indices, from the document down to a value."""


@dataclass(frozen=True)
class Document:
    """One YAML document: `data` is plain, `line(...)` finds where a value stands."""

    path: Path
    data: Any
    source: Any

    def line(self, *keys: str | int) -> int:
        """The line, from 1, of the value along a path of keys and indices, or of what holds it."""
        node, line = self.source, int(self.source.lc.line) + 1
        for key in keys:
            # A key that came by merge, or is missing, has no line of its own.
            with contextlib.suppress(KeyError, AttributeError, TypeError, IndexError):
                line = (node.lc.key(key) if isinstance(node, CommentedMap) else node.lc.item(key))[0] + 1
            try:
                node = node[key]
            except (KeyError, IndexError, TypeError):
                break
        return line

    def fault(self, message: str, advice: str, *keys: str | int) -> Finding:
        """A finding on the line of the value along a path of keys."""
        return Finding(self.path, self.line(*keys), message, advice)


def read(path: Path) -> tuple[list[Document], list[Finding]]:
    """The documents in a YAML file that are mappings or lists, and what is wrong with the rest."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return [], [Finding(path, 0, "not UTF-8 text", "write it as plain text")]
    reader = YAML()
    reader.preserve_quotes = True
    try:
        sources = list(reader.load_all(text))
    except YAMLError as error:
        return [], [_unreadable(path, text, error)]
    if any(map(_is_template, sources)):
        return [], [_template(path)]
    documents = [
        Document(path, plain(part), part)
        for source in sources
        if isinstance(source, (CommentedMap, CommentedSeq))
        for part in _objects(source)
    ]
    if all(source is None or isinstance(source, (CommentedMap, CommentedSeq)) for source in sources):
        return documents, []
    return documents, [Finding(path, 1, "a document that is neither a mapping nor a list", "correct it")]


def _objects(source: CommentedMap | CommentedSeq) -> list[CommentedMap | CommentedSeq]:
    """The objects of a `kind: List` of Kubernetes; of anything else, itself."""
    items = source.get("items") if isinstance(source, CommentedMap) and source.get("kind") == "List" else None
    if isinstance(items, CommentedSeq) and all(isinstance(item, CommentedMap) for item in items):
        return list(items)
    return [source]


def _is_template(node: Any) -> bool:
    """Whether `{{ .Values.name }}` stands in it as a value, which YAML reads as a mapping by a mapping."""
    if isinstance(node, CommentedMap):
        return any(isinstance(key, CommentedKeyMap) or _is_template(node[key]) for key in node)
    return isinstance(node, CommentedSeq) and any(map(_is_template, node))


def _template(path: Path) -> Finding:
    return Finding(path, 1, "a template of Helm was not checked", "check what `helm template` prints", True)


def _unreadable(path: Path, text: str, error: YAMLError) -> Finding:
    if "{{" in text:
        return _template(path)
    line, what, advice = 0, str(error), "correct it"
    if isinstance(error, MarkedYAMLError):
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        what = str(error.problem)
    elif isinstance(error, ReaderError):
        line = text.count("\n", 0, error.position) + 1
        what, advice = f"the character U+{error.character:04X} is not allowed", "remove it"
    return Finding(path, line, f"not valid YAML, {' '.join(what.split())}", advice)


def get(data: Any, *keys: str) -> Any:
    """The value along a path of keys, None where there is none."""
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def leaves(data: Any, at: Place = ()) -> Iterator[tuple[Place, Any]]:
    """What is neither a dict nor a list, each with where it stands."""
    if not isinstance(data, (dict, list)):
        yield at, data
        return
    for key, value in data.items() if isinstance(data, dict) else enumerate(data):
        yield from leaves(value, (*at, key))


def plain(node: Any) -> Any:
    """ruamel's containers as dicts and lists, merge keys resolved, what Compose is told to reset left out."""
    if isinstance(node, CommentedMap):
        return {str(key): plain(node[key]) for key in node if not _is_reset(node[key])}
    if isinstance(node, CommentedSeq):
        return [plain(item) for item in node]
    if isinstance(node, TaggedScalar):
        return YAML(typ="safe").load(node.value)
    if isinstance(node, str):
        return str(node)
    return node


def _is_reset(node: Any) -> bool:
    return getattr(getattr(node, "tag", None), "value", None) == "!reset"
