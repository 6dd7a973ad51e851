"""A folder of the user's images: which files count, and what is said of one that cannot be read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf

from ..errors import ExportError
from ..graph.images.kinds import HEAD, is_decoded

_COLOUR_TYPE = 25  # the byte of a PNG that says it


def images_in(folder: Path, option: str, least: int, advice: str) -> tuple[list[Path], int]:
    """List the images in `folder` and below, by their first bytes, in the order of their names.

    Args:
        folder: what the user named.
        option: with which.
        least: how many it takes.
        advice: what to say where there are fewer.

    Returns:
        The images, and how many files are none.

    Raises:
        ExportError: it can't be read or holds too few.
    """
    if not folder.is_dir():
        raise ExportError(f"{folder} is not a folder: {option} takes one with images like those to be served")
    found = sorted(file for file in folder.rglob("*") if file.is_file())
    files = [file for file in found if _is_image(file)]
    if len(files) < least:
        raise ExportError(
            f"{folder} holds {len(files)} images (JPEG, PNG, GIF, BMP or WebP) and {len(found) - len(files)} "
            f"other files: {option} takes {least} images or more, {advice}"
        )
    return files, len(found) - len(files)


def label_maps_among(files: Sequence[Path], option: str) -> list[str]:
    """Warn of images that look like label maps, which data sets keep beside their photographs.

    Those are PNGs of a palette, as PASCAL VOC's, or of gray. Where all images are such, they are the photographs.
    """
    like = [file for file in files if _has_palette_or_gray(file)]
    if not 0 < len(like) < len(files):
        return []
    return [
        f"{len(like)} of the {len(files)} images of {option} are PNGs of a palette or of gray, such as {like[0]}: "
        "where they are label maps, keep them out of that folder"
    ]


def _has_palette_or_gray(file: Path) -> bool:
    try:
        with open(file, "rb") as opened:
            head = opened.read(_COLOUR_TYPE + 1)
    except OSError:  # as below
        return False
    return head.startswith(b"\x89PNG") and head[_COLOUR_TYPE:] in (b"\0", b"\3")


def _is_image(file: Path) -> bool:
    try:
        with open(file, "rb") as opened:
            return is_decoded(opened.read(HEAD))
    except OSError:  # whoever reads it says why it cannot be read
        return True


@contextmanager
def refused_image(file: Path) -> Iterator[None]:
    """Turn what an unreadable image causes into an ExportError that names it."""
    try:
        yield
    except OSError as error:
        raise ExportError(f"cannot read {file}: {error.strerror or error}") from error
    except tf.errors.InvalidArgumentError as error:
        raise ExportError(f"{file}: {said(error)}: remove it from the folder") from error


def said(error: tf.errors.OpError) -> str:
    """What an op said, of all that TensorFlow tells: it stands before the first line that names the op's node."""
    line = re.search(r"([^\n]*)\n\t \[\[", error.message)
    said = line[1] if line else error.message
    return re.sub(r"^ *\(\d+\) \w+: |assertion failed: \[|\]$", "", said)
