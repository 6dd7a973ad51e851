"""The variables of a compose file, as Compose fills them in before it reads the file.

Source: https://docs.docker.com/reference/compose-file/interpolation/
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...finding import Finding
from ...servers.environment import UNKNOWN
from ..yaml_file import Document, leaves

_BRACED = re.compile(r"(?<!\$)\$\{(?P<name>\w+)(?:(?P<sign>:?[-?+])(?P<word>[^{}]*))?\}")
_BEGINS = re.compile(
    r"(?<!\$)(?:\$\$)*\$(?![\w${])|(?<!\$)(?:\$\$)*\$\{(?!\w+(?:\}|:?[-?+]))|(?<!\$)(?:\$\$)*\$\d"
)
"""What begins as a variable and is none."""
_BARE = re.compile(r"\$(?:\$|(?P<name>[A-Za-z_]\w*))")


def interpolated(document: Document) -> tuple[Document, list[Finding]]:
    """The document with values in the place of variables, and a note of those that nothing here sets.

    Values come from `.env` beside the file, then from defaults, `${NAME:-default}`. What nothing sets is empty, or
    unknown where Compose wants it to be set, `${NAME:?}`.
    PWD, which every shell sets, is the file's folder.
    """
    known = {"PWD": str(document.path.parent.resolve()), **env_file(document.path.parent / ".env")}
    malformed = list(_malformed(document))
    if malformed:
        return document, malformed
    unset: set[str] = set()
    wanted: set[str] = set()
    filled = replace(document, data=_fill(document.data, known, unset, wanted))
    notes = [
        Finding(document.path, 1, f"nothing here sets {', '.join(sorted(names))}", advice).as_note()
        for names, advice in ((unset, "it was read as empty"), (wanted, "Compose starts nothing without it"))
        if names
    ]
    return filled, notes


def _malformed(document: Document) -> Iterator[Finding]:
    for keys, text in leaves(document.data):
        if isinstance(text, str) and (_BEGINS.search(text) or _is_open(text)):
            message = f"{text[:60]!r} holds a variable that Compose cannot read"
            yield document.fault(message, "write ${NAME} or ${NAME:-default}, and $$ for a $", *keys)


def _is_open(text: str) -> bool:
    """Whether a brace of a variable is not closed."""
    text, changes = text.replace("$$", ""), 1
    while changes:
        text, changes = _BRACED.subn("", text)
    return "${" in text


def _fill(data: Any, known: Mapping[str, str], unset: set[str], wanted: set[str]) -> Any:
    if isinstance(data, dict):
        return {key: _fill(value, known, unset, wanted) for key, value in data.items()}
    if isinstance(data, list):
        return [_fill(value, known, unset, wanted) for value in data]
    return _fill_text(data, known, unset, wanted) if isinstance(data, str) else data


def _fill_text(text: str, known: Mapping[str, str], unset: set[str], wanted: set[str]) -> str:
    def value(match: re.Match[str]) -> str:
        name, sign = match["name"], match["sign"] or ""
        given = known.get(name)
        is_set = bool(given) if sign.startswith(":") else given is not None
        if sign.endswith("+"):
            return match["word"] if is_set else ""
        if sign.endswith("-") and not is_set:
            return str(match["word"])
        if sign.endswith("?") and not is_set:
            wanted.add(name)
            return UNKNOWN.replace("$", "$$")
        if given is None:
            unset.add(name)
        return (given or "").replace("$", "$$")  # it is filled in no further

    def bare(match: re.Match[str]) -> str:
        if not match["name"]:
            return "$"
        if match["name"] not in known:
            unset.add(match["name"])
        return known.get(match["name"], "")

    changes = 1
    while changes:  # a default may hold a variable: the innermost first
        text, changes = _BRACED.subn(value, text)
    return _BARE.sub(bare, text)


def env_file(path: Path) -> dict[str, str]:
    """The variables of a file of NAME=VALUE lines; none where there is no such file."""
    return dict(_assignments(path.read_text("utf-8", "replace"))) if path.is_file() else {}


def _assignments(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and not name.startswith("#"):
            value = value.strip()
            quoted = re.match(r"""(["'])(.*?)\1""", value)
            yield name.strip(), quoted[2] if quoted else re.split(r"\s#", value)[0].rstrip()
