"""How the networks' images were prepared in training. `export.images.preprocessing` does it in the graph."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Preprocessing:
    """How pixels become a network's input.

    Attributes:
        mean_rgb: subtracted from the pixels, 0 to 255.
        scale: what the difference is divided by.
        resize_side: for classification, the shorter side of an image is resized to this and the centre cropped, as in
            slim's vgg_preprocessing.py. None: `central_fraction` of both sides is cropped and resized, whatever its
            shape, as in slim's inception_preprocessing.py.
        central_fraction: of both sides.
    """

    mean_rgb: tuple[float, float, float]
    scale: float = 1.0
    resize_side: int | None = None
    central_fraction: float = 1.0

    def untouched_side(self, crop: int) -> int:
        """Side of a square image whose central crop of `crop` pixels is taken without resizing it."""
        if self.resize_side is not None:
            return self.resize_side
        return next(
            side
            for side in range(crop, 2 * crop)
            if side - 2 * int(side * (1 - self.central_fraction) / 2) == crop
        )


VGG_PREPROCESSING = Preprocessing(mean_rgb=(123.68, 116.78, 103.94), resize_side=256)
INCEPTION_PREPROCESSING = Preprocessing(mean_rgb=(127.5, 127.5, 127.5), scale=127.5, central_fraction=0.875)
