"""Image files to read, and result files, which appear whole under their name or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .. import InvalidInput

if TYPE_CHECKING:
    import PIL.Image

_EXTENSIONS = {".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp"}
_RESULT = re.compile(r"(?P<image>.+?)(-\d+)?\.(overlay|labels)\.png")


def find_images(arguments: Sequence[Path], out: Path | None = None) -> list[Path]:
    """List the files named, and those that the folders named hold, in order; none of the results in the folder `out`.

    Raises InvalidInput for a path that is not there, and for a folder that cannot be read or holds none.
    """
    found: list[Path] = []
    for path in arguments:
        if path.is_dir():
            inside = sorted(_walk(path, out and out.resolve()))
            if not inside:
                raise InvalidInput(f"the folder {path} holds no images ({', '.join(sorted(_EXTENSIONS))})")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise InvalidInput(f"there is no file or folder {path}")
    return found


def _walk(folder: Path, out: Path | None) -> Iterable[Path]:
    is_written = out is not None and folder.resolve() == out
    for parent, folders, names in os.walk(folder, onerror=_refuse_folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if out is not None:
            folders[:] = [name for name in folders if Path(parent, name).resolve() != out]
        for name in names:
            path = Path(parent, name)
            if name.startswith(".") or not is_image_name(name) or _blocks(path):
                continue
            if not (is_written and path.parent == folder and _is_result_name(name)):
                yield path


def _refuse_folder(error: OSError) -> None:
    raise InvalidInput(
        f"the folder {error.filename} cannot be read: {error.strerror}; make it readable, or name the images"
    )


def is_image_name(name: str) -> bool:
    """Tell whether a file is an image by its name."""
    return Path(name).suffix.lower() in _EXTENSIONS


def _blocks(path: Path) -> bool:
    """Tell what is no file and may never end, such as a pipe; a link to nothing is left to whoever reads it."""
    return os.path.exists(path) and not os.path.isfile(path)


def _is_result_name(name: str) -> bool:
    match = _RESULT.fullmatch(name)
    return match is not None and is_image_name(match["image"])


def name_results(images: Sequence[Path], out: Path, kinds: Sequence[str]) -> list[dict[str, Path]]:
    """Name a result file of each kind for each image: `cat.jpg` gives `out/cat.jpg.overlay.png`.

    Images of one name from different folders are numbered. Raises InvalidInput where a result would replace an image.
    """
    taken: dict[str, int] = {}
    results = []
    for image in images:
        taken[image.name] = taken.get(image.name, 0) + 1
        number = f"-{taken[image.name]}" if taken[image.name] > 1 else ""
        results.append({kind: out / f"{image.name}{number}.{kind}.png" for kind in kinds})
    read = {image.resolve() for image in images}
    for paths in results:
        for path in paths.values():
            if path.resolve() in read:
                raise InvalidInput(
                    f"{path} is an image to read and would be overwritten: choose another folder for -o"
                )
    return results


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

    Raises InvalidInput for a name that the file system finds too long.
    """
    try:
        with replacing(path) as draft, open(draft, "wb") as file:
            image.save(file, "PNG")
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise InvalidInput(f"the name of its result is too long, {path.name}: rename the image") from error
