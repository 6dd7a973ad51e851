"""A table of files and classes: `cat.jpg,tabby`, or the class by its number or identifier; a header may come first."""

from __future__ import annotations

import csv
import io
from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..... import InvalidInput

_DELIMITERS = "\t,; "


def read_table(
    table: Path, folder: Path, images: Sequence[Path]
) -> tuple[list[str | Path | None], list[str]]:
    """Give the text that names the class of each image, None where there is none, and the rows without an image.

    A row names a file by its path in the folder, by its name alone, or without its suffix, where one image is meant.
    Raises InvalidInput, naming the line.
    """
    names = _names(folder, images)
    classes: list[str | Path | None] = [None] * len(images)
    unused = []
    for line, name, text in _rows(table, names):
        meant = names.get(_as_path(name), set())
        if len(meant) > 1:
            raise InvalidInput(
                f"line {line} of {table}: {name} may be any of {len(meant)} images: name it by its path in {folder}"
            )
        if not meant:
            if line > 1 or _looks_like_an_image(name):  # else it is the header
                unused.append(name)
            continue
        (index,) = meant
        if classes[index] not in (None, text):
            raise InvalidInput(
                f"line {line} of {table}: {name} is {text!r} here and {str(classes[index])!r} before"
            )
        classes[index] = text
    return classes, unused


def _names(folder: Path, images: Sequence[Path]) -> dict[str, set[int]]:
    """List the images that each name may mean: a path that is exact means one, whatever else is called so."""
    names: dict[str, set[int]] = {}
    paths = [image.relative_to(folder) for image in images]
    for index, path in enumerate(paths):
        for name in (path.name, path.stem, path.with_suffix("").as_posix()):
            names.setdefault(name, set()).add(index)
    return names | {path.as_posix(): {index} for index, path in enumerate(paths)}


def _looks_like_an_image(name: str) -> bool:
    return bool(Path(name).suffix) or "/" in name


def _as_path(name: str) -> str:
    return name.replace("\\", "/").removeprefix("./")


def _rows(table: Path, names: Container[str]) -> Iterator[tuple[int, str, str]]:
    """Give line, file and class of each row."""
    try:
        text = table.read_text("utf-8-sig")  # Windows' editors put a mark first
    except UnicodeDecodeError as error:
        raise InvalidInput(f"the truth {table} is not UTF-8 text: a line is file,class") from error
    delimiter = max(_DELIMITERS, key=lambda each: _understood(text, each, names))
    reader = _reader(text, delimiter)
    try:
        for row in reader:
            fields = [field.strip() for field in row]
            if not any(fields):
                continue
            if len(fields) != 2 or not all(fields):
                raise InvalidInput(
                    f"line {reader.line_num} of {table} has {len(fields)} fields and must have a file and a class: put "
                    f'quotation marks around a name that has {delimiter!r} in it, as in cat.jpg,"tabby, tabby cat"'
                )
            yield reader.line_num, fields[0], fields[1]
    except csv.Error as error:
        raise InvalidInput(f"line {reader.line_num} of {table} cannot be read: {error}") from error


def _reader(text: str, delimiter: str) -> Any:
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)


def _understood(text: str, delimiter: str, names: Container[str]) -> tuple[int, bool]:
    """How many rows are an image and its class if that is the delimiter, and whether it is there at all."""
    try:
        pairs = [row for row in _reader(text, delimiter) if len(row) == 2]
    except csv.Error:
        return 0, False
    return sum(_as_path(row[0].strip()) in names for row in pairs), delimiter in text
