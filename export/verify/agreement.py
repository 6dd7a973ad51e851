"""How far an export agrees with the float32 network on images, and how sure that is: of few, nothing follows.

What 8 bits cost is measured on images that the ranges do not come from; `--verify` takes images of the user's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ExportError
from ..types import StepProgress
from .calibration import FloatModel
from .exported import Exported
from .folder import refused_image

ENOUGH = 20  # images, fewer say little
MOST_LOGIT_ERROR = 0.5  # of the norm: all zeros are 1 off
_Z = 1.96  # a normal deviate exceeds it on either side in 5 %


def wilson(share: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share that was found in `count` trials (Wilson, 1927); 0 to 1 for none.

    For a share of pixels an image is the trial, as the pixels of one are alike: that is on the safe side.
    """
    if not count:
        return 0.0, 1.0
    square = _Z**2 / count
    centre = (share + square / 2) / (1 + square)
    half = _Z / (1 + square) * math.sqrt(share * (1 - share) / count + square / count / 4)
    return max(0.0, centre - half), min(1.0, centre + half)


def _percent(share: float, count: int) -> str:
    low, high = wilson(share, count)
    return f"{share:.2%} ({low:.0%} to {high:.0%})"


@dataclass(frozen=True)
class Agreement:
    """How an export compares with the float32 network.

    Attributes:
        images: number of images compared.
        top_1: fraction of images that `classify` puts into the same class.
        label_map: fraction of pixels that `segment` gives the same label; None where none could be compared.
        logit_error: norm of the logits' difference, as a fraction of the norm of float32's.
    """

    images: int
    top_1: float
    label_map: float | None
    logit_error: float

    def record(self) -> dict[str, Any]:
        """All of it as JSON can carry it, with 95 % intervals."""
        return asdict(self) | {
            "top_1_interval": wilson(self.top_1, self.images),
            "label_map_interval": None if self.label_map is None else wilson(self.label_map, self.images),
        }

    @property
    def text(self) -> str:
        """What was found, in words."""
        labels = "no label of theirs compared"
        if self.label_map is not None:
            labels = f"same label in {_percent(self.label_map, self.images)} of their pixels"
        return (
            f"same class for {_percent(self.top_1, self.images)} of {self.images} images, {labels}, "
            f"logits {self.logit_error:.1%} off in norm"
        )

    def warnings(self, percent: float) -> list[str]:
        """What to tell a user who requires `percent`: few images, or a class that often differs."""
        warnings = []
        if self.images < ENOUGH:
            warnings.append(
                f"8 bits were compared with float32 on {self.images} images held out, which says little: "
                f"{self.text}; calibrate on {5 * ENOUGH} images or more, of which {ENOUGH} are held out"
            )
        if self.top_1 * 100 < percent:
            warnings.append(
                f"8 bits and float32 give the same class for {_percent(self.top_1, self.images)} of {self.images} "
                "images held out: to classify, calibrate on more images or export with --precision bfloat16"
            )
        return warnings

    def require(self, percent: float) -> None:
        """Raise ExportError unless `percent` of the label maps' pixels agree, and the logits are float32's at all."""
        if not self.logit_error <= MOST_LOGIT_ERROR:
            raise ExportError(
                f"the logits of 8 bits are {self.logit_error:.0%} off those of float32 on the {self.images} images "
                f"compared, in norm (allowed: {MOST_LOGIT_ERROR:.0%}); nothing was published: calibrate on more images "
                "like those to be served, or export with --precision bfloat16"
            )
        if self.label_map is not None and not self.label_map * 100 >= percent:
            raise ExportError(
                f"8 bits and float32 agree in {self.label_map:.2%} of the pixels of the {self.images} images compared "
                f"(required: {percent:g} %), top-1 in {self.top_1:.1%}; nothing was published: calibrate on more "
                f"images like those to be served, export with --precision bfloat16, or accept it: "
                f"--accept-agreement {np.floor(self.label_map * 1000) / 10:g}"
            )


def compare_with_float(
    folder: Path, model: FloatModel, images: Sequence[Path], progress: StepProgress
) -> Agreement:
    """Run both on each image, one at a time in memory.

    Args:
        folder: the SavedModel.
        model: the float32 network.
        images: encoded files.
        progress: called with the fraction done.

    Raises:
        ExportError: an image can't be read.
    """
    same_class = same_labels = pixels = 0
    difference = norm = 0.0
    with Exported(folder) as exported:
        for count, file in enumerate(images, 1):
            with refused_image(file):
                image = file.read_bytes()
                expected = model.answer(image)
            found = exported("classify_bytes", "segment", "logits", image_bytes=[image])
            same_class += int(found["classify_bytes"]["class_ids"][0, 0] == expected.class_id)
            same_labels += int(np.count_nonzero(found["segment"]["label_map"][0] == expected.label_map))
            pixels += expected.label_map.size
            off = found["logits"]["logits"][0] - expected.logits
            difference += float(np.square(off, dtype=np.float64).sum())
            norm += float(np.square(expected.logits, dtype=np.float64).sum())
            progress(count / len(images))
    return Agreement(
        len(images), same_class / len(images), same_labels / pixels, (difference / (norm or 1.0)) ** 0.5
    )
