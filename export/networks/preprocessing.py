"""How the networks' images were prepared in training. `export.graph.images.preprocessing` does it in the graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PreprocessingName = Literal["vgg", "inception"]


@dataclass(frozen=True)
class Preprocessing:
    """How pixels become a network's input.

    Attributes:
        name: what slim calls it.
        mean_rgb: subtracted from the pixels, 0 to 255.
        scale: what the difference is divided by.
        resize_side: for classification, the shorter side of an image is resized to this and the centre cropped, as in
            slim's vgg_preprocessing.py. None: `central_fraction` of both sides is cropped and resized, whatever its
            shape, as in slim's inception_preprocessing.py.
        central_fraction: of both sides.
    """

    name: PreprocessingName
    mean_rgb: tuple[float, float, float]
    scale: float = 1.0
    resize_side: int | None = None
    central_fraction: float = 1.0

    @property
    def mean(self) -> float | tuple[float, float, float]:
        """`mean_rgb`, as one number where it is gray: TensorFlow subtracts that faster than a colour."""
        return self.mean_rgb[0] if len(set(self.mean_rgb)) == 1 else self.mean_rgb

    @property
    def mean_colour(self) -> tuple[int, int, int]:
        """The pixel nearest to the mean: what images are padded with before it is subtracted."""
        red, green, blue = (round(value) for value in self.mean_rgb)
        return red, green, blue


@dataclass(frozen=True)
class Evaluation:
    """A preprocessing, and the side of the crop that is classified, pixels."""

    preprocessing: Preprocessing
    crop: int


VGG_PREPROCESSING = Preprocessing("vgg", mean_rgb=(123.68, 116.78, 103.94), resize_side=256)
INCEPTION_PREPROCESSING = Preprocessing(
    "inception", mean_rgb=(127.5, 127.5, 127.5), scale=127.5, central_fraction=0.875
)
PREPROCESSINGS: dict[PreprocessingName, Preprocessing] = {
    known.name: known for known in (VGG_PREPROCESSING, INCEPTION_PREPROCESSING)
}
NOT_IN_SLIM = (
    "slim's preprocessing_factory.py does not know this network, so that whoever trained it chose one"
)
