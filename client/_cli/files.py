"""Image files to read, result files to write."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from client import InvalidInput

if TYPE_CHECKING:
    import PIL.Image

_EXTENSIONS = {".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp"}


def find_images(arguments: Sequence[Path]) -> list[Path]:
    """List the files named, and those that the folders named hold, in order.

    Raises InvalidInput for a path that is not there, and for a folder that holds none.
    """
    found: list[Path] = []
    for path in arguments:
        if path.is_dir():
            inside = sorted(_walk(path))
            if not inside:
                raise InvalidInput(f"the folder {path} holds no images ({', '.join(sorted(_EXTENSIONS))})")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise InvalidInput(f"there is no file or folder {path}")
    return found


def _walk(folder: Path) -> Iterable[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if Path(name).suffix.lower() in _EXTENSIONS and not name.startswith("."):
                yield Path(parent, name)


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


def save(image: PIL.Image.Image, path: Path) -> None:
    """Write a PNG so that there is a whole file of that name, or none."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(draft, "wb") as file:
            image.save(file, "PNG")
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
