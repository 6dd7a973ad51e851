"""Class names in JSON and in Python's literals: lists, pairs, records, and objects from number to name or back."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import ExportError
from .label_numbers import by_number, numbered

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def structured(text: str, source: str) -> tuple[list[str], str] | None:
    """Return `name` or `identifier<TAB>name` for each class, and how they were read; None where the text is neither.

    Raises:
        ExportError: the numbers are not 0 to C-1, or the text holds something else than names.
    """
    if text.lstrip()[:1] not in ("{", "["):
        return None
    loads: tuple[tuple[str, Callable[[str], Any]], ...] = (
        ("JSON", json.loads),
        ("Python", ast.literal_eval),
        ("lines of JSON", lambda text: [json.loads(line) for line in text.splitlines()]),
        ("lines of Python", lambda text: [ast.literal_eval(line) for line in text.splitlines()]),
    )
    for how, load in loads:
        try:
            found = load(text.strip())
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
        if (lines := _lines(found, source)) is None:
            raise ExportError(
                f"{source} is {how}, but neither a list of names nor an object from each class's number to its name; a "
                "name is text without tabs and line breaks"
            )
        return lines, f"read as {how}"
    return None


def _lines(found: Any, source: str) -> list[str] | None:
    """The lines of names in an order that is said; None of anything else, a set too."""
    if not found:
        return None
    if isinstance(found, dict):
        return _of_object(found, source)
    if not isinstance(found, list | tuple):
        return None
    if all(isinstance(each, dict) and {"id", "name"} <= each.keys() for each in found):
        return _of_pairs([(each["id"], each["name"]) for each in found], source)
    if all(isinstance(each, list | tuple) and len(each) == 2 for each in found):
        return _of_pairs(found, source)
    return by_number(range(len(found)), found, source) if all(map(_is_name, found)) else None


def _of_object(found: dict[Any, Any], source: str) -> list[str] | None:
    """From number to name or to [identifier, name], as Keras has for ImageNet; or from name to number.

    Keras' class_indices and the label2id of others are from name to number.
    """
    pairs = list(found.items())
    if all(type(number) is int for _, number in pairs):
        pairs = [(number, name) for name, number in pairs]
    names = ["\t".join(name) if _is_pair_of_names(name) else name for _, name in pairs]
    if not all(str(number).isdecimal() for number, _ in pairs):
        return None
    if not all(_is_pair_of_names(name) or _is_name(name) for _, name in pairs):
        return None
    return by_number([int(number) for number, _ in pairs], names, source)


def _of_pairs(pairs: Sequence[Sequence[Any]], source: str) -> list[str] | None:
    """From [number, name], [name, number] or [identifier, name]; digits in quotes may be a number or an identifier."""
    if all(_is_pair_of_names(pair) for pair in pairs):
        lines = ["\t".join(pair) for pair in pairs]
        read = numbered(lines, source)
        return read[0] if read else lines
    for number, name in ((0, 1), (1, 0)):
        if all(type(pair[number]) is int and _is_name(pair[name]) for pair in pairs):
            return by_number([pair[number] for pair in pairs], [pair[name] for pair in pairs], source)
    return None


def _is_pair_of_names(found: Any) -> bool:
    return isinstance(found, list | tuple) and len(found) == 2 and all(map(_is_name, found))


def _is_name(found: Any) -> bool:
    return isinstance(found, str) and bool(found.strip()) and not _CONTROL.search(found)
