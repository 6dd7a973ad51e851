"""Class names: from a file, from beside the checkpoint, ImageNet's, or numbers.

A labels file has a line for each class, in the order of the logits: `name`, `identifier<TAB>name` (as slim's
ImageNet synsets), or `number:name` (as the labels.txt of slim's own datasets).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from ..errors import ExportError

_BACKGROUND = "background"


@dataclass(frozen=True)
class Labels:
    """Names of the classes, in the order of the logits.

    Attributes:
        identifiers: unique, such as a WordNet synset ("n01440764").
        names: for people; two ImageNet classes are both called "crane".
        source: where they come from, for the report.
    """

    identifiers: tuple[str, ...]
    names: tuple[str, ...]
    source: str

    def to_tsv(self) -> str:
        """The labels as a file: `identifier<TAB>name`, a line for each class."""
        return "".join(f"{i}\t{name}\n" for i, name in zip(self.identifiers, self.names, strict=True))


def find_labels(labels_file: str | Path | None, checkpoint: Sequence[str | Path], classes: int) -> Labels:
    """Labels from `labels_file`, else `<checkpoint>.labels.tsv`, else ImageNet's, else numbers.

    ImageNet's are for 1000 classes, or 1001 with the background before them, as slim's Inception networks have them.

    Args:
        labels_file: asked for by the user, or None.
        checkpoint: paths that mean it, such as its folder and its prefix; names may lie beside each.
        classes: how many the checkpoint has.

    Raises:
        ExportError: the file can't be read, has another number of lines, an empty or a repeated one.
    """
    if labels_file is not None:
        return _read(Path(labels_file), classes)
    for path in checkpoint:
        if (beside := Path(f"{path}.labels.tsv")).is_file():
            return _read(beside, classes)
    if classes in (1000, 1001):
        text = (resources.files(__package__) / "imagenet_2012_classes.tsv").read_text("utf-8")
        return _parse(text if classes == 1000 else f"{_BACKGROUND}\n{text}", classes, "ImageNet")
    numbers = tuple(str(i) for i in range(classes))
    return Labels(numbers, tuple(f"class {number}" for number in numbers), "numbers (no labels file)")


def _read(file: Path, classes: int) -> Labels:
    try:
        text = file.read_text("utf-8-sig")  # Windows' editors put a mark first
    except OSError as error:
        raise ExportError(f"cannot read the labels file {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ExportError(f"the labels file {file} is not UTF-8 text: one class name a line") from error
    return _parse(text, classes, str(file))


def _about_background(lines: int, classes: int) -> str:
    if lines == classes - 1:
        return f"; if its first class is the background, as of slim's Inception networks, let {_BACKGROUND!r} be line 1"
    if lines == classes + 1:
        return "; if line 1 is the background, which this checkpoint was not trained with, take it out"
    return ""


def _parse(text: str, classes: int, source: str) -> Labels:
    lines = text.rstrip("\n").split("\n")
    if len(lines) != classes:
        raise ExportError(
            f"{source} has {len(lines)} lines but the checkpoint has {classes} classes: one line a class is needed"
            + _about_background(len(lines), classes)
        )
    if all(line.startswith(f"{number}:") for number, line in enumerate(lines)):
        lines = [line.replace(":", "\t", 1) for line in lines]
    identifiers: dict[str, int] = {}
    names = []
    for number, line in enumerate(lines, 1):
        identifier, tab, name = (part.strip(" \r") for part in line.partition("\t"))
        name = name if tab else identifier
        if not name:
            raise ExportError(f"{source}, line {number} is empty: each class needs a name")
        if identifier in identifiers:
            advice = "give it one of its own" if tab else "put a unique identifier and a tab before each name"
            raise ExportError(
                f"{source}, line {number} repeats {identifier!r} of line {identifiers[identifier]}: {advice}"
            )
        identifiers[identifier] = number
        names.append(name)
    return Labels(tuple(identifiers), tuple(names), source)
