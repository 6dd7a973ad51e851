"""The lines of a labels file, whatever wrote it: names, numbers beside them, synsets, YAML, JSON, Python, quotes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..errors import ExportError
from .label_numbers import numbered, refuse_another_order, unquoted
from .label_structures import structured

_DASH = re.compile(r"(-) +(\S.*)")
_SYNSET = re.compile(r"(n\d{8}) +(\S.*)")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_CSV = re.compile(r'"((?=.*(,|""))([^"]|"")+)"')
_PBTXT = re.compile(r"(\s|#[^\n]*\n)*item\s*:?\s*\{")
_NAMES_IN_YAML = re.compile(r"names:\s*([\[{].*)?")
_BESIDE_NAMES = re.compile(r"(path|train|val|test|nc|download):")  # keys of Ultralytics' data sets


def label_lines(text: str, source: str) -> tuple[list[str], str]:
    """Return `name` or `identifier<TAB>name` for each class, and how the file was read where its lines are no names.

    A file whose lines all have a number is taken by the numbers, which must be 0 to C-1. Names may have digits, commas
    and colons of their own ("1:24 model", "tench, Tinca tinca").

    Raises:
        ExportError: the numbers are others or contradict the order of the lines, or the file is of a kind that is not
            read.
    """
    if read := structured(text, source):
        return read
    lines = [line.strip(" \r") for line in text.rstrip("\r\n ").split("\n")]
    _refuse_other_kinds(text, lines, source)
    if read := _yaml(lines, source):
        return read
    if synsets := _matches(_SYNSET, lines):
        return [f"{synset}\t{name}" for synset, name in synsets], "read as synsets and names"
    if by_number := numbered(lines, source):
        return by_number[0], f"read as {by_number[1]}"
    if len(lines) > 1 and all(unquoted(line) != line for line in lines):
        lines = [unquoted(line) for line in lines]
        if by_number := numbered(lines, source):
            return by_number[0], f"read without the quotes, as {by_number[1]}"
        return _plain(lines, source), "read without the quotes"
    names = [_out_of_csv(line) for line in lines]
    if names != lines:
        return _plain(names, source), "read without the quotes"
    how = "read as identifiers and names" if all("\t" in line for line in lines) else ""
    return _plain(lines, source), how


def _out_of_csv(line: str) -> str:
    """A name without the quotes that CSV puts around what has commas or quotes of its own."""
    quoted = _CSV.fullmatch(line)
    return quoted[1].replace('""', '"') if quoted else line


def _plain(lines: Sequence[str], source: str) -> list[str]:
    """Lines in their own order."""
    for number, line in enumerate(lines, 1):
        if line.count("\t") > 1:
            raise ExportError(
                f"{source}, line {number} has more than one tab: leave the class's identifier and its name"
            )
    if not all("\t" in line for line in lines):
        refuse_another_order(lines, source)
    return list(lines)


def _yaml(lines: Sequence[str], source: str) -> tuple[list[str], str] | None:
    """What is a list, or stands below a heading: `names:` above `0: road`, as Ultralytics has it."""
    above = int(len(lines) > 1 and lines[0].endswith(":"))
    items = _matches(_DASH, lines[above:])
    if above or items:
        names = [name for _, name in items] or lines[above:]
        how = "a list in YAML" if items else "YAML"
        if by_number := numbered(names, source, above, between=(":",)):
            return by_number[0], f"read as {how}, {by_number[1]}"
        if items:
            return [unquoted(name) for name in names], f"read as {how}"
    return None


def _refuse_other_kinds(text: str, lines: Sequence[str], source: str) -> None:
    for number, line in enumerate(lines, 1):
        if found := _CONTROL.search(line):
            raise ExportError(
                f"{source}, line {number} holds the control character {found[0]!r}: it is no text of one class name a "
                "line"
            )
    if _PBTXT.match(text):
        raise ExportError(
            f"{source} is a label map of the Object Detection API (pbtxt): write its names, one a line, in the order "
            "of the network's outputs"
        )
    in_yaml = [bool(match[1]) for line in lines if (match := _NAMES_IN_YAML.fullmatch(line))]
    if any(in_yaml) or (in_yaml and any(_BESIDE_NAMES.match(line) for line in lines)):
        raise ExportError(
            f"{source} is YAML that has more than `names:` and a name a line below it: write the names alone, one a "
            "line"
        )
    if len(lines) > 2 and all(line.endswith(",") for line in lines[:-1]):
        raise ExportError(
            f"the lines of {source} end in commas, as code has them: write the names alone, one a line"
        )


def _matches(pattern: re.Pattern[str], lines: Sequence[str]) -> list[tuple[str, str]]:
    found = [(match[1], match[2]) for line in lines if (match := pattern.fullmatch(line))]
    return found if len(found) == len(lines) else []
