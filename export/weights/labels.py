"""Class names: from a file, from beside the checkpoint, those of a public data set, or numbers.

A labels file has a line for each class, in the order of the logits: `name`, `identifier<TAB>name` (as slim's
ImageNet synsets), or `number:name` (as the labels.txt of slim's own datasets), in the order of the numbers;
`label_lines` takes what other programs write. Names may repeat, as ImageNet's two cranes do; identifiers may not, and
are numbers where a file of repeated names has none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import MappingProxyType

from ..errors import ExportError
from .label_lines import label_lines

_BACKGROUND = "background"
IMAGENET = "ImageNet"
DATA_SETS = {"pascal_voc_2012": "PASCAL VOC 2012", "cityscapes": "Cityscapes", "ade20k": "ADE20K"}


@dataclass(frozen=True)
class Labels:
    """Names of the classes, in the order of the logits.

    Attributes:
        identifiers: unique, such as a WordNet synset ("n01440764").
        names: for people; two ImageNet classes are both called "crane".
        source: where they come from, for the report.
        colours: of the classes where a data set defines them, such as "#804080"; else none.
    """

    identifiers: tuple[str, ...]
    names: tuple[str, ...]
    source: str
    colours: tuple[str, ...] = ()

    def to_tsv(self) -> str:
        """The labels as a file: `identifier<TAB>name`, a line for each class."""
        return "".join(f"{i}\t{name}\n" for i, name in zip(self.identifiers, self.names, strict=True))

    def colours_to_tsv(self) -> str:
        """The colours as a file: `number<TAB>#rrggbb`, a line for each class that has one."""
        return "".join(f"{number}\t{colour}\n" for number, colour in enumerate(self.colours))


def find_labels(
    labels_file: str | Path | None,
    checkpoint: Sequence[str | Path],
    classes: int,
    data_sets: Mapping[int, str] = MappingProxyType({}),
) -> Labels:
    """Labels from `labels_file`, else `<checkpoint>.labels.tsv`, else a data set's, else ImageNet's, else numbers.

    ImageNet's are for 1000 classes, or 1001 with the background before them, as slim's Inception networks have them.

    Args:
        labels_file: asked for by the user, or None.
        checkpoint: paths that mean it, such as its folder and its prefix; names may lie beside each.
        classes: how many the checkpoint has.
        data_sets: what the network was published for, by the number of classes: keys of DATA_SETS.

    Raises:
        ExportError: the file can't be read, has another number of lines, an empty or a repeated one.
    """
    if labels_file is not None:
        return _read(Path(labels_file), classes)
    for path in checkpoint:
        if (beside := Path(f"{path}.labels.tsv")).is_file():
            return _read(beside, classes)
    if classes in data_sets:
        return _of_data_set(data_sets[classes])
    if classes in (1000, 1001):
        return _of_imagenet(with_background=classes == 1001)
    numbers = tuple(str(i) for i in range(classes))
    return Labels(numbers, tuple(f"class {number}" for number in numbers), "numbers (no labels file)")


def _of_data_set(name: str) -> Labels:
    """The classes and colours of a file here; a class is identified by its number, which the truth has too."""
    text = (resources.files(__package__) / f"{name}_classes.tsv").read_text("utf-8")
    numbers, names, colours = zip(*(line.split("\t") for line in text.splitlines()), strict=True)
    return Labels(numbers, names, DATA_SETS[name], colours)


def _of_imagenet(with_background: bool) -> Labels:
    text = (resources.files(__package__) / "imagenet_2012_classes.tsv").read_text("utf-8")
    synsets, names = zip(*(line.split("\t") for line in text.splitlines()), strict=True)
    background = (_BACKGROUND,) if with_background else ()
    return Labels(background + synsets, background + names, IMAGENET)


def _read(file: Path, classes: int) -> Labels:
    try:
        text = file.read_text("utf-8-sig")  # Windows' editors put a mark first
    except OSError as error:
        raise ExportError(f"cannot read the labels file {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        kind = "UTF-16" if file.read_bytes()[:2] in (b"\xff\xfe", b"\xfe\xff") else "not UTF-8"
        raise ExportError(
            f"the labels file {file} is {kind}: save it as UTF-8 text, one class name a line"
        ) from error
    return _parse(text, classes, str(file))


def _about_background(lines: int, classes: int, how: str) -> str:
    if lines == classes - 1:
        where = "line 1" if not how else "the first, and where the others have numbers, count them from 1"
        its = "its first class is the background, as of slim's Inception networks"
        return f"; if {its}, let {_BACKGROUND!r} be {where}"
    if lines == classes + 1:
        return "; if line 1 is the background, which this checkpoint was not trained with, take it out"
    return ""


def _parse(text: str, classes: int, source: str) -> Labels:
    lines, how = label_lines(text, source)
    if len(lines) != classes:
        if "" in lines:
            raise ExportError(f"{source}, line {lines.index('') + 1} is empty: each class needs a name")
        raise ExportError(
            f"{source} has {len(lines)} line{'s' * (len(lines) > 1)} but the checkpoint has {classes} classes: "
            "one line a class is needed" + _about_background(len(lines), classes, how)
        )
    fields = [tuple(part.strip(" \r") for part in line.partition("\t")) for line in lines]
    firsts = [first for first, _, _ in fields]
    numbered = not any(tab for _, tab, _ in fields) and len(set(firsts)) < len(firsts)
    identifiers: dict[str, int] = {}
    names = []
    for number, (first, tab, second) in enumerate(fields, 1):
        name = second if tab else first
        identifier = str(number - 1) if numbered else first
        if not name:
            raise ExportError(f"{source}, line {number} is empty: each class needs a name")
        if identifier in identifiers:
            raise ExportError(
                f"{source}, line {number} repeats the identifier {identifier!r} of line {identifiers[identifier]}: "
                "give it one of its own"
            )
        identifiers[identifier] = number
        names.append(name)
    return Labels(tuple(identifiers), tuple(names), f"{source}, {how}" if how else source)
