"""Numbers beside the names of a labels file: which of them number the classes, and the names in their order.

Numbers are taken where every line begins or ends with one, and they are 0 to C-1. What parts columns (a tab, a comma)
leaves no doubt. A space does: where the words beside the numbers repeat, as in `class 0`, a number is part of the name.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from typing import NamedTuple

from ..errors import ExportError

_BETWEEN = {
    "\t": "a tab",
    ";": "a semicolon",
    "|": "a bar",
    ",": "a comma",
    ":": "a colon",
    "=": "an equals sign",
    " - ": "a dash",
    ")": "a bracket",
    ". ": "a full stop",
    " ": "a space",
}
_COLUMNS = ("\t", ";", "|", ",")
_BEFORE_NAMES = (")", ". ")  # behind a name these end a word of it: "Mt. 2"
_BEFORE = re.compile(r'("?)(\d{1,6})\1(?!\d)(.*)')
_BEHIND = re.compile(r'(.*?)(?<!\d)("?)(\d{1,6})\2')
_FIRST = re.compile(r"^\D*(\d{1,6})(?!\d)")
_LAST = re.compile(r"(?<!\d)(\d{1,6})\W*$")


class _Reading(NamedTuple):
    """The number of each line, what is beside it, and which of them comes first."""

    numbers: list[int]
    beside: list[str]
    numbers_first: bool

    @property
    def in_order(self) -> bool:
        return self.numbers == sorted(self.numbers)

    @property
    def repeats(self) -> bool:
        """Whether the names say too little without the numbers. Two of ImageNet's thousand repeat."""
        return 4 * (len(self.beside) - len(set(self.beside))) > len(self.beside)


def numbered(
    lines: Sequence[str], source: str, above: int = 0, between: Sequence[str] = ()
) -> tuple[list[str], str] | None:
    """Return `number<TAB>name` or `identifier<TAB>name` of each class in the order of the numbers, and how it was read.

    Args:
        lines: of the file.
        source: the file, for errors.
        above: lines of the file that come before these.
        between: what may part the numbers from the names, where it is known.

    Returns:
        None where the lines are names alone, or identifiers and names.

    Raises:
        ExportError: the numbers are others than 0 to C-1, two of each line could be meant, or there are more columns.
    """
    tabs = all("\t" in line for line in lines)  # a number behind a space is part of a name there
    for mark in between or (("\t",) if tabs else _BETWEEN):
        before = [_before(line, mark) for line in lines]
        behind = [_behind(line, mark) for line in lines]
        for found in (before, behind):
            _refuse_heading(lines, found, mark, source)
        readings = [each for each in (_reading(before, True), _reading(behind, False)) if each]
        chosen = _chosen(readings, mark, source)
        if chosen and (_parts(mark, chosen) or (len(lines) > 1 and not chosen.repeats)):
            names = _names(chosen.beside, mark, source)
            ordered = by_number(chosen.numbers, names, source, above)
            return ordered, f"{_said(chosen, names)} with {_BETWEEN[mark]} between"
        if not chosen and mark == ":":
            _refuse_other_numbers_by_colons(before, behind, source, above)
        elif not chosen:
            _refuse_other_numbers(readings, mark, source, above)
    return None


def by_number(numbers: Sequence[int], names: Sequence[str], source: str, above: int = 0) -> list[str]:
    """Put the names into the order of the numbers: `number<TAB>name`, or a name that has its identifier before a tab.

    Raises:
        ExportError: the numbers are others than 0 to C-1.
    """
    if not _count_from(0, numbers):
        line, wrong = next(
            ((line, number) for line, number in enumerate(numbers) if number != line), (0, numbers[0])
        )
        raise _wrong_number(line + 1 + above, wrong, len(numbers), source)
    ordered = [name for _, name in sorted(zip(numbers, names, strict=True))]
    return [name if "\t" in name else f"{number}\t{name}" for number, name in enumerate(ordered)]


def refuse_another_order(lines: Sequence[str], source: str) -> None:
    """Raise ExportError where names have numbers that would number the classes, in another order than the lines.

    One line may have none, such as a heading, or the background's that was put before the others.
    """
    for pattern in (_FIRST, _LAST):
        at = [(line, int(match[1])) for line, name in enumerate(lines, 1) if (match := pattern.search(name))]
        found = [number for _, number in at]
        if len(found) < len(lines) - 1 or not (_count_from(0, found) or _count_from(1, found)):
            continue
        if found == sorted(found):
            return
        line, wrong = next(each for each, right in zip(at, sorted(found), strict=True) if each[1] != right)
        raise ExportError(
            f"{source}, line {line} has the number {wrong}: its lines have the numbers {min(found)} to "
            f"{max(found)}, and come in another order; write the number of the network's output, from 0, and a tab "
            "before each name"
        )


def unquoted(text: str) -> str:
    """Without the quotes around it."""
    return text[1:-1] if len(text) > 2 and text[0] == text[-1] and text[0] in "\"'" else text


def _before(line: str, mark: str) -> tuple[int, str] | None:
    if not (match := _BEFORE.fullmatch(line)):
        return None
    rest = match[3] if mark.startswith(" ") else match[3].lstrip(" ")
    return (int(match[2]), rest.removeprefix(mark).strip(" ")) if rest.startswith(mark) else None


def _behind(line: str, mark: str) -> tuple[int, str] | None:
    if mark in _BEFORE_NAMES or not (match := _BEHIND.fullmatch(line)):
        return None
    rest = match[1] if mark.endswith(" ") else match[1].rstrip(" ")
    return (int(match[3]), rest.removesuffix(mark).strip(" ")) if rest.endswith(mark) else None


def _reading(found: Sequence[tuple[int, str] | None], numbers_first: bool) -> _Reading | None:
    rows = [each for each in found if each]
    if len(rows) < len(found):
        return None
    return _Reading([number for number, _ in rows], [name for _, name in rows], numbers_first)


def _said(reading: _Reading, names: Sequence[str]) -> str:
    columns = ["identifiers", "names"] if "\t" in names[0] else ["names"]
    columns.insert(0 if reading.numbers_first else len(columns), "numbers")
    return f"{', '.join(columns[:-1])} and {columns[-1]}"


def _parts(mark: str, reading: _Reading) -> bool:
    """Whether a number is no part of the name, whatever the name is."""
    return mark in _COLUMNS or (mark == ":" and reading.numbers_first)


def _refuse_heading(
    lines: Sequence[str], found: Sequence[tuple[int, str] | None], mark: str, source: str
) -> None:
    numbers = [each[0] for each in found[1:] if each]
    below = not found[0] and len(numbers) > 1 and len(numbers) == len(lines) - 1
    if mark in _COLUMNS and below and mark in lines[0] and _count_from(min(numbers), numbers):
        raise ExportError(f"{source}, line 1 is a heading, {lines[0]!r}: take it out")


def _chosen(readings: Sequence[_Reading], mark: str, source: str) -> _Reading | None:
    """The reading whose numbers are 0 to C-1; where both are numbers, the one that counts the lines."""
    exact = [reading for reading in readings if _count_from(0, reading.numbers)]
    if len(exact) < 2:
        return exact[0] if exact else None
    # Before a tab stands what identifies a class.
    for reading in exact[:1] if mark == "\t" else exact:
        if reading.in_order:
            return reading
    last = len(exact[0].numbers) - 1
    raise ExportError(
        f"{source} has two numbers in each line, both from 0 to {last}, and which of them numbers the classes nothing "
        "says: write the names alone, one a line, in the order of the network's outputs"
    )


def _refuse_other_numbers(readings: Sequence[_Reading], mark: str, source: str, above: int) -> None:
    """Raise ExportError where what stands beside the names numbers the classes, and not from 0.

    Behind a tab or words, numbers that do not count from 1 are names, or a part of them.
    """
    for reading in readings:
        start = min(reading.numbers) if reading.numbers_first else 1
        counts = _count_from(start, reading.numbers) and len(reading.numbers) > 1
        if mark in _COLUMNS[1:] or (counts and (mark == "\t" or not reading.repeats)):
            by_number(reading.numbers, reading.beside, source, above)


def _refuse_other_numbers_by_colons(
    before: Sequence[tuple[int, str] | None],
    behind: Sequence[tuple[int, str] | None],
    source: str,
    above: int,
) -> None:
    """The same where a colon is between. Names have numbers around a colon of their own, as in "1:24 model"."""
    beside = [(line, each[0], each[1][:1]) for line, each in enumerate(before, 1) if each]
    if all(behind):
        beside += [(line, each[0], each[1][-1:]) for line, each in enumerate(behind, 1) if each]
    for line, number, character in beside:
        if not character.isdigit():
            raise _wrong_number(line + above, number, len(before), source)


def _names(beside: Sequence[str], mark: str, source: str) -> list[str]:
    """Names, or `identifier<TAB>name`, of what stands beside the numbers; quotes are taken off."""
    fields = [_fields(each, mark) for each in beside]
    widths = {len(each) for each in fields}
    if widths == {2} and _identify([first for first, _ in fields]):
        return ["\t".join(each) for each in fields]
    # A comma with a space behind it, or one in some names alone, is a name's own: "tench, Tinca tinca".
    columns = (
        len(widths) == 1 and widths != {1} and not (mark == "," and any(", " in each for each in beside))
    )
    if columns or any("\t" in each for each in beside):
        raise ExportError(
            f"{source} has more than two columns: leave each class's number and its name, with a tab between"
        )
    return [unquoted(each[0]) if len(each) == 1 else text for each, text in zip(fields, beside, strict=True)]


def _fields(text: str, mark: str) -> list[str]:
    if mark not in _COLUMNS or not text:
        return [text]
    try:
        (row,) = csv.reader([text], delimiter=mark, skipinitialspace=True)
    except csv.Error:  # a field is too long
        return [text]
    return [each.strip(" ") for each in row]


def _identify(column: Sequence[str]) -> bool:
    """Whether these are identifiers, such as n01440764 or /m/0k4j: another name or a colour would have none of them."""
    return len(set(column)) == len(column) and all(re.fullmatch(r"\S*\d\S*", each) for each in column)


def _count_from(start: int, numbers: Sequence[int]) -> bool:
    return sorted(numbers) == list(range(start, start + len(numbers)))


def _wrong_number(line: int, number: int, classes: int, source: str) -> ExportError:
    return ExportError(
        f"{source}, line {line} numbers its class {number}, and the numbers of all lines are not 0 to {classes - 1}, "
        "each once: number the classes as the network's outputs, from 0, or leave the numbers out"
    )
