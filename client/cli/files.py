"""Image files to read, and result files, which appear whole under their name or not at all."""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import re
import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .. import InvalidInput
from ..images import kinds

if TYPE_CHECKING:
    import PIL.Image

_EXTENSIONS = {".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp"}
_HEAD = 64  # bytes that tell what a file is
_RESULT = re.compile(r"(?P<image>.+?)(-\d+)?\.(overlay|labels)\.png")


def path_argument(text: str) -> Path:
    """Parse a path of the command line; shells leave a ~ behind `--option=` as it is."""
    if not text:  # which Path() takes for the current folder
        raise argparse.ArgumentTypeError("the path is empty: is a variable of the shell not set?")
    try:
        return Path(text).expanduser()
    except RuntimeError:  # there is no such user
        return Path(text)


def find_images(
    arguments: Sequence[Path], out: Path | None = None, left_out: Counter[str] | None = None
) -> list[Path]:
    """List the files named, and the images in the folders named, in order; none of the results in the folder `out`.

    In a folder an image is what its first bytes, or its name, says to be one. `left_out` counts the others, by why.
    Links to folders are followed, each folder once.

    Raises InvalidInput for a path that is not there, and for a folder that cannot be read or holds none.
    """
    found: list[Path] = []
    for path in arguments:
        if os.path.isdir(path):
            inside = sorted(_walk(path, out and out.resolve(), Counter() if left_out is None else left_out))
            if not inside:
                raise InvalidInput(f"the folder {path} holds no images: no JPEG, PNG, GIF, BMP or WebP")
            found += inside
        elif os.path.exists(path):
            found.append(path)
        else:
            raise InvalidInput(f"there is no file or folder {kinds.shown(str(path))}{_advice(str(path))}")
    return found


def _advice(name: str) -> str:
    """Say what to do where a name was meant as what only shells, or other programs, know; else nothing."""
    if name == "-":
        return ": name a file; what is piped in is /dev/stdin, except on Windows"
    if re.search(r"[*?]|\[.+\]", name):
        return (
            ": shells put names in the place of a pattern, but not in quotes, nor on Windows; name the folder"
        )
    return ""


def describe_left_out(left_out: Counter[str]) -> str:
    """Say in a line how many files of the folders were left out, and why; empty where none was."""
    if not left_out:
        return ""
    reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.most_common())
    count = left_out.total()
    return f"{count} {'file of the folders was' if count == 1 else 'files of the folders were'} left out: {reasons}"


def _walk(folder: Path, out: Path | None, left_out: Counter[str]) -> list[Path]:
    found, reasons = [], {}
    passed = {out, folder.resolve(), *folder.resolve().parents}
    for parent, folders, names in os.walk(folder, onerror=_refuse_folder, followlinks=True):
        inside = [name for name in sorted(folders) if not name.startswith(".")]
        folders.clear()
        for name, resolved in ((name, Path(parent, name).resolve()) for name in inside):
            if resolved not in passed:
                passed.add(resolved)
                folders.append(name)
        for path in (Path(parent, name) for name in names if not name.startswith(".")):
            reason = _why_no_image(path)
            if reason:
                reasons[path] = reason
            else:
                found.append(path)
    if out is not None and folder.resolve() == out:  # what an earlier run wrote lies beside its images
        known = {path.name for path in found}
        found = [path for path in found if path.parent != folder or not _is_result_name(path.name, known)]
        reasons = {path: reason for path, reason in reasons.items() if path.parent != folder}
    left_out.update(reasons.values())
    return found


def _why_no_image(path: Path) -> str:
    """Say why a file of a folder is left out; empty for an image, sound or not."""
    if os.path.exists(path) and not os.path.isfile(path):  # it may never end
        return "no file, such as a pipe"
    if is_image_name(path.name):  # whoever reads it says what is wrong with it
        return ""
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return "cannot be read"
    return "" if kinds.is_read(head) else kinds.brief_name(head)


def _refuse_folder(error: OSError) -> None:
    raise InvalidInput(
        f"the folder {error.filename} cannot be read: {error.strerror}; make it readable, or name the images"
    )


def is_image_name(name: str) -> bool:
    """Tell whether a file is an image by its name."""
    return Path(name).suffix.lower() in _EXTENSIONS


def _is_result_name(name: str, images: Collection[str]) -> bool:
    match = _RESULT.fullmatch(name)
    return match is not None and (is_image_name(match["image"]) or match["image"] in images)


def name_results(images: Sequence[Path], out: Path, kinds: Sequence[str]) -> list[dict[str, Path]]:
    """Name a result file of each kind for each image: `cat.jpg` gives `out/cat.jpg.overlay.png`.

    Images of one name from different folders are numbered. Raises InvalidInput where a result would replace an image.
    """
    own = {image.name.casefold() for image in images}
    taken: set[str] = set()
    results = []
    for image in images:
        name, number = image.name, 1
        while name.casefold() in taken or (
            number > 1 and name.casefold() in own
        ):  # some file systems know no case
            number += 1
            name = f"{image.name}-{number}"
        taken.add(name.casefold())
        results.append({kind: out / f"{name}.{kind}.png" for kind in kinds})
    read = {image.resolve() for image in images}
    for paths in results:
        for path in paths.values():
            if path.resolve() in read:
                raise InvalidInput(
                    f"{path} is an image to read and would be overwritten: choose another folder for -o"
                )
    return results


def check_report(report: Path, others: Iterable[Path]) -> None:
    """Raise InvalidInput where a report would take the place of another file of the run, or be taken for an image."""
    own, files = report.resolve(), {path.resolve() for path in others}
    if report.is_dir() or any(own in (folder, *folder.parents) for folder in {file.parent for file in files}):
        raise InvalidInput(f"the report {report} is a folder, or will be one: name a file")
    if is_image_name(report.name) or own in files:
        raise InvalidInput(
            f"the report {report} would overwrite an image or the journal, or be taken for an image: "
            "name it as in --report report.html"
        )


def make_folder(path: Path) -> None:
    """Make the folder for results, where it is not there. Raises InvalidInput where something else has its name."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise InvalidInput(
            f"{error.filename} is a file, not a folder: name another one for the results"
        ) from error


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give the path of a draft to write, which takes the place of `path` when the block ends without an error."""
    # Not named after the file, whose name may be as long as names can be; several machines may share the folder.
    draft = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        yield draft
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def save(image: PIL.Image.Image, path: Path) -> None:
    """Write a PNG so that there is a whole file of that name, or none.

    Raises InvalidInput for a name that the file system finds too long, or that a folder has.
    """
    try:
        with replacing(path) as draft, open(draft, "wb") as file:
            image.save(file, "PNG")
    except IsADirectoryError as error:
        raise InvalidInput(
            f"its result {path} has the name of a folder: choose another folder for -o"
        ) from error
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise InvalidInput(f"the name of its result is too long, {path.name}: rename the image") from error
