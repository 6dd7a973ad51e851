"""What answers hold: ranked classes, label maps.

Nothing here draws. A result that is asked for a picture imports what draws it.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from .errors import InvalidInput, ServingError
from .images import kinds, pillow
from .limits import brief, is_number

if TYPE_CHECKING:
    import PIL.Image

A = TypeVar("A")

_SHOWN = 3  # classes in a repr
_COUNTED_AT_ONCE = 1 << 20  # pixels


class Prediction(NamedTuple):
    """One class of a ranking: its name, its score (a probability, 0 to 1) and its id."""

    name: str
    score: float
    id: int


class Area(NamedTuple):
    """One class of a label map, and the fraction of the pixels that it covers (0 to 1)."""

    name: str
    id: int
    fraction: float


@dataclass(frozen=True, eq=False, repr=False)  # arrays do not compare to one truth value
class Classification:
    """The classes of an image.

    `predictions` are the best ones, best first. `probabilities` is float32 [C], by class id; None where the model
    does not give them. `model_version` is the version that answered. `sent_size` is the height and width that a large
    photo was shrunk to before it was sent; None where it was sent as it is.
    """

    predictions: Sequence[Prediction]
    probabilities: npt.NDArray[np.float32] | None
    model_version: int
    sent_size: tuple[int, int] | None = None

    @property
    def top(self) -> Prediction:
        """The best class."""
        return self.predictions[0]

    def __repr__(self) -> str:
        best = ", ".join(f"{each.name} {each.score:.1%}" for each in self.predictions[:_SHOWN])
        return f"<Classification: {best}; version {self.model_version}>"

    def _repr_html_(self) -> str:
        from .pictures.notebook import ranking_html

        return ranking_html(self.predictions, self.model_version)

    def _repr_png_(self) -> bytes | None:
        from .pictures.notebook import ranking_png

        return ranking_png(self.predictions)


@dataclass(frozen=True, eq=False, repr=False)
class Segmentation:
    """The class of every pixel of an image.

    `label_map` is uint8 or uint16 [H,W] of class ids, at the image's own size as it is displayed (upright, where
    EXIF turns it); it may be read-only, so copy it to change it. `class_names` names the classes that occur in it.
    `model_version` is the version that answered.
    """

    label_map: npt.NDArray[Any]
    class_names: Mapping[int, str]
    model_version: int
    _picture: Callable[[], PIL.Image.Image]

    @functools.cached_property
    def _areas(self) -> list[Area]:
        counts = count_pixels(self.label_map)
        ids = np.flatnonzero(counts)
        ranked = ids[np.argsort(-counts[ids], kind="stable")].tolist()
        return [Area(self.class_names[id], id, float(counts[id] / self.label_map.size)) for id in ranked]

    def areas(self) -> list[Area]:
        """Rank the classes by the fraction of pixels they cover, largest first."""
        return list(self._areas)

    def label_image(self) -> PIL.Image.Image:
        """Draw the label map as an image whose pixel values are the class ids.

        A palette image in the colours of `overlay()` when every id is below 256, 16-bit grayscale otherwise. Save it
        as a PNG: other formats may write other ids. Needs Pillow.
        """
        pillow.require("label_image()")
        from .pictures.overlay import draw_labels

        return draw_labels(self.label_map)

    def overlay(self, *, opacity: float = 0.55, legend: bool = True) -> PIL.Image.Image:
        """Draw the regions over the image: a colour for each class, outlines, and a legend with the areas.

        A class has the same colour in every picture. `opacity` is that of the colours, 0 to 1. The image keeps its
        size and place at the top left; the legend stands beside it, or below a wide one. Needs Pillow.
        """
        if not is_number(opacity) or not 0 <= opacity <= 1:
            raise InvalidInput(f"opacity is a number from 0 to 1, not {brief(opacity)}")
        pillow.require("overlay()")
        from .pictures.overlay import draw_overlay

        return draw_overlay(self._picture(), self.label_map, self._areas if legend else [], opacity)

    def __repr__(self) -> str:
        height, width = self.label_map.shape
        largest = ", ".join(f"{area.name} {area.fraction:.1%}" for area in self._areas[:_SHOWN])
        return f"<Segmentation: {width}x{height} pixels, {largest}; version {self.model_version}>"

    def _repr_html_(self) -> str:
        from .pictures.notebook import regions_html

        return regions_html(self._picture, self.label_map, self._areas, self.model_version)

    def _repr_png_(self) -> bytes | None:
        from .pictures.notebook import regions_png

        return regions_png(self._picture, self.label_map, self._areas)


@dataclass(frozen=True, eq=False)
class Analysis:
    """Both answers, from one pass of the network over the whole image.

    The classes are those of the whole image: the scores of all places in it are averaged before they are ranked.
    `classify` looks at one crop, and may rank other classes.
    """

    classification: Classification
    segmentation: Segmentation

    def _repr_html_(self) -> str:
        return self.segmentation._repr_html_() + self.classification._repr_html_()

    def _repr_png_(self) -> bytes | None:
        return self.segmentation._repr_png_()


@dataclass(frozen=True, eq=False, repr=False)  # an image's bytes are no line
class StreamItem(Generic[A]):
    """One image of a stream and what became of it.

    Attributes:
        index: its place among the images, from 0.
        image: the image as it was given.
        error: why it has no answer; None where it has one.
    """

    index: int
    image: Any
    error: ServingError | None
    _answer: A | None

    @property
    def answer(self) -> A:
        """The answer. Raises `error` where there is none."""
        if self.error is not None:
            raise self.error
        return self._answer  # type: ignore[return-value]

    def __repr__(self) -> str:
        is_path = isinstance(self.image, (str, os.PathLike))
        image = kinds.shown(os.fsdecode(self.image)) if is_path else type(self.image).__name__
        return f"<StreamItem {self.index}: {image}, {self.error or self._answer!r}>"


def count_pixels(label_map: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Count the pixels of each class in [H,W] class ids: int64, by id up to the largest.

    In strips, for `numpy.bincount` makes eight bytes of each pixel.
    """
    counts = np.zeros(int(label_map.max()) + 1, np.int64)
    rows = max(_COUNTED_AT_ONCE // label_map.shape[1], 1)
    for start in range(0, len(label_map), rows):
        counts += np.bincount(label_map[start : start + rows].ravel(), minlength=len(counts))
    return counts
