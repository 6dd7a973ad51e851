"""Ranges for 8-bit activations and means of what filters meet, from a folder of images like those that will be served.

A range that cuts off the few largest activations leaves finer steps for all others, and one odd image cannot stretch
it. But the largest decide the label of some region: over 10 scenes of the demo checkpoint that the ranges do not come
from, the label maps of 8 bits agree with float32's in 99.1 % of the pixels at PERCENTILE (98.0 % of the worst scene's)
and in 98.6 % at 99.99 (93.5 %).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf

from ..errors import ExportError
from .activations import Recorded, Statistics, statistics
from .float_model import FloatModel

PERCENTILE = 99.999
_EVERY = 5  # of the images, one in so many is held out
_SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp")
Progress = Callable[[float], None]


class Images(NamedTuple):
    """The images of a folder: those that ranges come from, and those held out for the comparison."""

    calibrating: tuple[Path, ...]
    held_out: tuple[Path, ...]


def find_images(folder: Path) -> Images:
    """List the images in `folder` and below; in the order of their names, every fifth is held out.

    Raises:
        ExportError: it can't be read or holds fewer than 5.
    """
    if not folder.is_dir():
        raise ExportError(
            f"{folder} is not a folder: --calibrate takes one with images like those to be served"
        )
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in _SUFFIXES and file.is_file())
    if len(files) < _EVERY:
        raise ExportError(
            f"{folder} holds {len(files)} images ({', '.join(_SUFFIXES)}): --calibrate takes {_EVERY} or more, "
            "better 50, like those to be served"
        )
    calibrating = tuple(file for index, file in enumerate(files, 1) if index % _EVERY)
    return Images(calibrating, tuple(files[_EVERY - 1 :: _EVERY]))


def calibrate(model: FloatModel, images: Sequence[Path], progress: Progress) -> dict[str, Statistics]:
    """Return what 8 bits take of each convolution, by scope; one image at a time is in memory.

    Raises:
        ExportError: an image can't be read.
    """
    totals: dict[str, Recorded] = {}
    for count, file in enumerate(images, 1):
        with refused_image(file):
            recorded = model.record(file.read_bytes())
        totals = {
            scope: totals[scope].plus(one) if scope in totals else one for scope, one in recorded.items()
        }
        progress(count / len(images))
    return {scope: statistics(total, PERCENTILE) for scope, total in totals.items()}


@contextmanager
def refused_image(file: Path) -> Iterator[None]:
    """Turn what an unreadable image causes into an ExportError that names it."""
    try:
        yield
    except OSError as error:
        raise ExportError(f"cannot read {file}: {error.strerror or error}") from error
    except tf.errors.InvalidArgumentError as error:
        raise ExportError(f"{file}: {_said(error)}: remove it from the folder") from error


def _said(error: tf.errors.OpError) -> str:
    """What an op said, of all that TensorFlow tells: it stands before the first line that names the op's node."""
    line = re.search(r"([^\n]*)\n\t \[\[", error.message)
    said = line[1] if line else error.message
    return re.sub(r"^ *\(\d+\) \w+: |assertion failed: \[|\]$", "", said)
