"""What the answers are held to: a class for each image, or a label map for each, found beside a table or a folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from ..... import InvalidInput
from .... import files
from .table import read_table

Task = Literal["classify", "segment"]


class Truth(NamedTuple):
    """What is known of the images.

    Attributes:
        task: what is judged.
        reason: why it is that, in words.
        of: for each image what it is held to: the text that names its class, or the file of its label map; None
            where the truth has nothing of it.
        unused: what the truth has without an image.
    """

    task: Task
    reason: str
    of: Sequence[str | Path | None]
    unused: Sequence[str]


def find_truth(folder: Path, images: Sequence[Path], truth: Path, task: Task | None) -> Truth:
    """Find what the truth says of images of a folder; `task` is the one that was asked for, None to infer it.

    Raises InvalidInput where the truth cannot be read, is not of that task, or says nothing of any image.
    """
    if truth.is_dir():
        found = _of_folder(folder, images, truth, task)
    elif not truth.exists():
        raise InvalidInput(f"there is no truth {truth}: name a table of files and classes, or a folder")
    elif task == "segment":
        raise InvalidInput(f"the truth {truth} is a file: for segment, name a folder of label maps (PNG)")
    else:
        classes, unused = read_table(truth, folder, images)
        found = Truth("classify", f"{truth} is a table of classes", classes, unused)
    if all(each is None for each in found.of):
        raise InvalidInput(
            f"the truth {truth} has nothing of any of {len(images)} images in {folder}, such as {images[0].name}: "
            "a table names files as they are called in the folder, a label map is called like its image (cat.jpg, "
            "cat.png), and a folder of classes holds a folder for each"
        )
    return found


def _of_folder(folder: Path, images: Sequence[Path], truth: Path, task: Task | None) -> Truth:
    same = truth.resolve() == folder.resolve()
    if task == "classify" or (task is None and same):
        return _folder_of_classes(images, truth)
    maps = _label_maps(folder, images, truth)
    if task is None and all(each is None for each in maps.of):
        return _folder_of_classes(images, truth)
    return maps


def _label_maps(folder: Path, images: Sequence[Path], truth: Path) -> Truth:
    """Match each image to the label map of the same name and subfolder, whatever the image's kind."""
    there = {_stem(path, truth): path for path in files.find_images([truth]) if path.suffix.lower() == ".png"}
    keys = [_stem(path, folder) for path in images]
    unused = [str(path) for key, path in there.items() if key not in set(keys)]
    return Truth("segment", f"{truth} holds label maps", [there.get(key) for key in keys], unused)


def _stem(path: Path, folder: Path) -> str:
    return path.relative_to(folder).with_suffix("").as_posix()


def _folder_of_classes(images: Sequence[Path], truth: Path) -> Truth:
    """Take the class of each image from the folder of the truth that it, or a file of its name, lies in."""
    root = truth.resolve()
    inside = {path: _class_of(path.resolve(), root) for path in images}
    by_name: dict[str, set[str]] = {}
    if None in inside.values():
        for path in files.find_images([truth]):
            if name := _class_of(path.resolve(), root):
                by_name.setdefault(path.name, set()).add(name)
    classes: list[str | Path | None] = []
    for path, own in inside.items():
        others = by_name.get(path.name, set())
        if own is None and len(others) > 1:
            where = ", ".join(sorted(others))
            raise InvalidInput(
                f"{path.name} lies in several classes of {truth} ({where}): name files differently"
            )
        classes.append(own or next(iter(others), None))
    unused = sorted(by_name.keys() - {path.name for path in images})
    return Truth("classify", f"{truth} holds a folder for each class", classes, unused)


def _class_of(path: Path, root: Path) -> str | None:
    parts = path.relative_to(root).parts if path.is_relative_to(root) else ()
    return parts[0] if len(parts) > 1 else None


def without_truth(images: Sequence[Path], truth: Path, folder: Path) -> Iterator[Path]:
    """Leave out the images that belong to a folder of label maps inside the folder of images."""
    root = truth.resolve()
    apart = truth.is_dir() and root != folder.resolve() and root.is_relative_to(folder.resolve())
    for image in images:
        if not (apart and image.resolve().is_relative_to(root)):
            yield image
