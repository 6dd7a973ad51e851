"""Answers about images: ranked classes, label maps, or both."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .images import pillow as _pillow

if TYPE_CHECKING:
    import PIL.Image

    from .images.given import PreparedImage


OPACITY = 0.55  # of the colours in an overlay
_COUNTED_AT_ONCE = 1 << 20  # pixels


class Prediction(NamedTuple):
    """One class of a ranking."""

    name: str
    score: float
    id: int


class Area(NamedTuple):
    """One class of a label map and the fraction of the pixels that it covers."""

    name: str
    id: int
    fraction: float


@dataclass(frozen=True, eq=False)  # arrays do not compare to one truth value
class Classification:
    """The classes of an image.

    `predictions` are the best ones, best first. `probabilities` is float32 [C], by class id; None where the model
    does not give them. `model_version` is the version that answered.
    """

    predictions: Sequence[Prediction]
    probabilities: npt.NDArray[np.float32] | None
    model_version: int

    @property
    def top(self) -> Prediction:
        """The best class."""
        return self.predictions[0]

    def _repr_html_(self) -> str:
        from .pictures import notebook as _notebook

        return _notebook.classification_html(self)

    def _repr_png_(self) -> bytes | None:
        from .pictures import notebook as _notebook

        return _notebook.classification_png(self)


def format_fraction(fraction: float) -> str:
    """Write a part of 1 as people read it: `12.3 %`."""
    return f"{100 * fraction:.1f} %" if fraction >= 0.001 else "< 0.1 %"


def count_pixels(label_map: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Count the pixels of each class in [H,W] class ids: int64, by id up to the largest.

    In strips, for `numpy.bincount` makes eight bytes of each pixel.
    """
    counts = np.zeros(int(label_map.max()) + 1, np.int64)
    rows = max(_COUNTED_AT_ONCE // label_map.shape[1], 1)
    for start in range(0, len(label_map), rows):
        counts += np.bincount(label_map[start : start + rows].ravel(), minlength=len(counts))
    return counts


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The class of every pixel of an image.

    `label_map` is uint8 or uint16 [H,W] of class ids, at the image's own size as it is displayed (upright, where
    EXIF turns it). `class_names` names the classes that occur in it. `model_version` is the version that answered.
    """

    label_map: npt.NDArray[Any]
    class_names: Mapping[int, str]
    model_version: int
    _image: PreparedImage = field(repr=False)

    @functools.cached_property
    def _areas(self) -> list[Area]:
        counts = count_pixels(self.label_map)
        ids = np.flatnonzero(counts)
        ranked = ids[np.argsort(-counts[ids], kind="stable")]
        return [
            Area(self.class_names[int(id)], int(id), float(counts[id] / self.label_map.size)) for id in ranked
        ]

    def areas(self) -> list[Area]:
        """Rank the classes by the fraction of pixels they cover, largest first."""
        return list(self._areas)

    def label_image(self) -> PIL.Image.Image:
        """Draw the label map as an image whose pixel values are the class ids.

        A palette image in the colours of `overlay()` when every id is below 256, 16-bit grayscale otherwise.
        Needs Pillow.
        """
        from .pictures.overlay import draw_labels

        _pillow.require("label_image()")
        return draw_labels(self.label_map)

    def overlay(self, *, opacity: float = OPACITY, legend: bool = True) -> PIL.Image.Image:
        """Draw the regions over the image: a colour for each class, outlines, and a legend with the areas.

        A class has the same colour in every picture. `opacity` is that of the colours, 0 to 1. The image keeps its
        size and place at the top left; the legend stands beside it, or below a wide one. Needs Pillow.
        """
        from .pictures.overlay import draw_overlay

        _pillow.require("overlay()")
        return draw_overlay(self._image.to_pillow(), self.label_map, self._areas if legend else [], opacity)

    def _repr_html_(self) -> str:
        from .pictures import notebook as _notebook

        return _notebook.segmentation_html(self)

    def _repr_png_(self) -> bytes | None:
        from .pictures import notebook as _notebook

        return _notebook.segmentation_png(self)


@dataclass(frozen=True, eq=False)
class Analysis:
    """Both answers, from one pass of the network."""

    classification: Classification
    segmentation: Segmentation

    def _repr_html_(self) -> str:
        return self.segmentation._repr_html_() + self.classification._repr_html_()

    def _repr_png_(self) -> bytes | None:
        return self.segmentation._repr_png_()
