"""The lines of a labels file, whatever wrote it: numbers beside the names, synsets, CSV, YAML, JSON, Python, quotes."""

from __future__ import annotations

import ast
import csv
import json
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from ..errors import ExportError

_COLON = re.compile(r"(\d{1,6})\s*:(.*)")
_SPACE = re.compile(r"(\d{1,6})\s+(\S.*)")
_DASH = re.compile(r"(-) +(\S.*)")
_SYNSET = re.compile(r"(n\d{8}) +(\S.*)")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def label_lines(text: str, source: str) -> tuple[list[str], str]:
    """Return `name` or `identifier<TAB>name` for each class, and how the file was read where it is none of these.

    A file whose lines all have a number is taken by the numbers, which must be 0 to C-1. Names may have digits, commas
    and colons of their own ("1:24 model", "tench, Tinca tinca").

    Raises:
        ExportError: the numbers are others, or the file is of a kind that is not read.
    """
    if text.lstrip()[:1] in ("{", "["):
        for how, load in (("JSON", json.loads), ("Python", ast.literal_eval)):
            with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
                return _structure(load(text.strip()), how, source), f"read as {how}"
    lines = [line.strip(" \r") for line in text.rstrip("\r\n ").split("\n")]
    _refuse_other_kinds(lines, source)
    if listed := _matches(_DASH, lines[1:] if lines[0].endswith(":") else lines):
        return [_unquoted(name) for _, name in listed], "read as a list in YAML"
    if len(lines) > 1 and all(_unquoted(line) != line for line in lines):
        return [_unquoted(line) for line in lines], "read without the quotes"
    if synsets := _matches(_SYNSET, lines):
        return [f"{synset}\t{name}" for synset, name in synsets], "read as synsets and names"
    for rows, how in ((_columns(lines, "\t"), "a tab"), (_columns(lines, ","), "a comma")):
        if len(rows) > 1 and (_below_heading(rows, 0) or _below_heading(rows, 1)):
            raise ExportError(f"{source}, line 1 is a heading, {lines[0]!r}: take it out")
        if rows and _are_numbers([second for _, second in rows]):
            return _by_number([(second, first) for first, second in rows], source), (
                f"read as names and numbers with {how} between"
            )
        if rows and how == "a comma" and _are_numbers([first for first, _ in rows]):
            return _by_number(rows, source), "read as numbers and names with a comma between"
    spaced = _matches(_SPACE, lines)
    if spaced and len({name for _, name in spaced}) == len(spaced) and _count_up([int(n) for n, _ in spaced]):
        return _by_number(spaced, source), "read as numbers and names with a space between"
    return _without_colons(lines, source), ""


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 2 and text[0] == text[-1] and text[0] in "\"'" else text


def _structure(found: Any, how: str, source: str) -> list[str]:
    """Take a list of names, or an object from number to name or to [identifier, name], as Keras has for ImageNet.

    Or from name to number, as Keras' class_indices and the label2id of others are.
    """
    ordered = isinstance(found, list | tuple)  # a set of Python has no order
    pairs = list(found.items()) if isinstance(found, dict) else list(enumerate(found if ordered else ()))
    if pairs and all(type(number) is int for _, number in pairs):
        pairs = [(number, name) for name, number in pairs]
    named = [(str(number), _name(name)) for number, name in pairs]
    if not named or not all(number.isdecimal() and name for number, name in named):
        raise ExportError(
            f"{source} is {how}, but neither a list of names nor an object from each class's number to its name"
        )
    lines = _by_number([(number, name or "") for number, name in named], source)
    if not isinstance(found, dict) or not all(isinstance(name, list) for _, name in pairs):
        return lines
    return [line.partition("\t")[2] for line in lines]  # which has the identifier


def _name(name: Any) -> str | None:
    if isinstance(name, list) and len(name) == 2 and all(isinstance(part, str) and part for part in name):
        return "\t".join(name)
    return name if isinstance(name, str) and "\n" not in name else None


def _refuse_other_kinds(lines: Sequence[str], source: str) -> None:
    for number, line in enumerate(lines, 1):
        if found := _CONTROL.search(line):
            raise ExportError(
                f"{source}, line {number} holds the control character {found[0]!r}: it is no text of one class name a "
                "line"
            )
    if re.fullmatch(r"item\s*\{.*", lines[0]):
        raise ExportError(
            f"{source} is a label map of the Object Detection API (pbtxt): write its names, one a line, in the order "
            "of the network's outputs"
        )
    if len(lines) > 2 and all(line.endswith(",") for line in lines[:-1]):
        raise ExportError(
            f"the lines of {source} end in commas, as code has them: write the names alone, one a line"
        )


def _columns(lines: Sequence[str], between: str) -> list[tuple[str, str]]:
    """The two columns that every line has; empty where one has another number of them."""
    try:
        rows = list(csv.reader(lines, delimiter=between, skipinitialspace=True))
    except csv.Error:  # a field without end
        return []
    if len(rows) != len(lines) or any(len(row) != 2 for row in rows):
        return []
    return [(first.strip(), second.strip()) for first, second in rows]


def _matches(pattern: re.Pattern[str], lines: Sequence[str]) -> list[tuple[str, str]]:
    found = [(match[1], match[2]) for line in lines if (match := pattern.fullmatch(line))]
    return found if len(found) == len(lines) else []


def _are_numbers(column: Sequence[str]) -> bool:
    return all(re.fullmatch(r"\d{1,6}", each) for each in column)


def _below_heading(rows: Sequence[tuple[str, str]], column: int) -> bool:
    heading, *others = (row[column] for row in rows)
    return not _are_numbers([heading]) and _are_numbers(others) and _count_up([int(each) for each in others])


def _count_up(numbers: Sequence[int]) -> bool:
    return sorted(numbers) == list(range(min(numbers), min(numbers) + len(numbers)))


def _by_number(rows: Sequence[tuple[str, str]], source: str) -> list[str]:
    """Lines of `number<TAB>name` in the order of the numbers."""
    by_number = {int(number): name for number, name in rows}
    if sorted(int(number) for number, _ in rows) != list(range(len(rows))):
        line, wrong = next(
            ((line, int(n)) for line, (n, _) in enumerate(rows, 1) if int(n) != line - 1),
            (1, int(rows[0][0])),
        )
        raise _wrong_number(line, wrong, len(rows), source)
    return [f"{number}\t{by_number[number].strip()}" for number in range(len(rows))]


def _without_colons(lines: list[str], source: str) -> list[str]:
    """Take lines of `number:name` by their numbers; lines without numbers stay as they are.

    A name may have digits behind a colon; a number with a name behind it says which class is meant.
    """
    found = [_COLON.fullmatch(line) for line in lines]
    numbers = [int(match[1]) for match in found if match]
    if sorted(numbers) == list(range(len(lines))):
        return _by_number([(match[1], match[2]) for match in found if match], source)
    for line, match in enumerate(found, 1):
        if match and not match[2].strip()[:1].isdigit():
            raise _wrong_number(line, int(match[1]), len(lines), source)
    return lines


def _wrong_number(line: int, number: int, classes: int, source: str) -> ExportError:
    return ExportError(
        f"{source}, line {line} numbers its class {number}, and the numbers of all lines are not 0 to {classes - 1}, "
        "each once: number the classes as the network's outputs, from 0, or leave the numbers out"
    )
