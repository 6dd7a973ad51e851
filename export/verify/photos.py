"""`--verify FOLDER`: an export and its reference on the user's images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from ..errors import ExportError
from ..graph.images.checks import Bounds
from ..graph.images.decoding import image_decoder
from ..graph.serving_graph import CROP_LOGITS
from ..networks.rounding import tolerance
from ..plan.plan import Plan
from ..types import StepProgress
from .agreement import Agreement
from .exported import Exported
from .folder import refused_image
from .labels import LEAST_SHARE, Labels, at_fault, compare_labels, compare_top_1
from .parity import require_finite
from .reference import answers, expected
from .reference.slim_reference import SlimReference


@dataclass(frozen=True)
class Photos:
    """What was found on the user's images."""

    agreement: Agreement  # of all classes and labels, ties included
    labels: Labels  # the same, ties within rounding left out
    difference: float  # largest difference of two logits of a crop, as a fraction of the image's largest
    tolerance: float  # what rounding explains

    def require(self, precision: str, percent: float) -> None:
        """Raise ExportError where they differ by more than the precision may; `percent` is what int8 must agree in.

        The scores themselves have a bound in float32 alone: in 16 bits it is one that few of many images exceed.
        """
        if precision == "int8":
            self.agreement.require(percent)
            return
        if precision == "float32" and not self.difference <= self.tolerance:
            raise ExportError(
                f"on an image of --verify the export differs from its reference by {self.difference:.2g} of the "
                f"largest logit (rounding explains {self.tolerance:.1g}); nothing was published: {at_fault(precision)}"
            )
        self.labels.require(precision)

    def warnings(self, precision: str) -> list[str]:
        """What to tell a user whose answers 16 bits change too often, ties included, which `require` leaves out."""
        found = self.agreement
        same = min(found.top_1, 1.0 if found.label_map is None else found.label_map)
        if precision not in ("bfloat16", "float16") or same >= LEAST_SHARE[precision]:
            return []
        return [
            f"rounding to {precision} changes answers to the images of --verify: {found.text}; where that is too much, "
            "export with --precision float32"
        ]

    def record(self) -> dict[str, Any]:
        """All of it as JSON can carry it."""
        return asdict(self) | {"agreement": self.agreement.record()}


def compare_on_photos(folder: Path, plan: Plan, files: Sequence[Path], progress: StepProgress) -> Photos:
    """Run the SavedModel in `folder` and the reference on each image, one at a time; both stay in memory.

    The export decodes the files, and its own decoder gives the reference its pixels.

    Raises:
        ExportError: an image can't be read.
    """
    network, options = plan.network, plan.options
    bound = tolerance(network, options.precision)
    labels = plain = Labels()
    difference = squares = norm = 0.0
    with SlimReference(plan) as reference, Exported(folder) as exported, tf.Graph().as_default():
        encoded = tf.compat.v1.placeholder(tf.string, [])
        pixels = image_decoder(Bounds.of(options, network)).decode(encoded, "the image")
        with tf.compat.v1.Session() as decoding:
            for count, file in enumerate(files, 1):
                with refused_image(file):
                    data = file.read_bytes()
                    image = decoding.run(pixels, {encoded: data})
                found = exported(
                    "classify_bytes", "segment", "logits", tensor=CROP_LOGITS, image_bytes=[data]
                )
                ours = found[""][CROP_LOGITS]
                require_finite(ours, plan)
                exact = reference.logits(expected.crop(image, network)).mean(axis=(0, 1))
                answers.check_ranking("classify_bytes", found["classify_bytes"], ours, plan)
                off = np.abs(ours[0] - exact)
                difference = max(difference, float(off.max()) / (float(np.abs(exact).max()) or 1.0))
                squares += float(np.square(off, dtype=np.float64).sum())
                norm += float(np.square(exact, dtype=np.float64).sum())
                labels = labels.plus(compare_top_1(list(ours), [exact], bound, options.precision))
                plain = plain.plus(compare_top_1(list(ours), [exact], 0.0, options.precision))
                progress(count / len(files))
                if network.segments:
                    label_map, cells = found["segment"]["label_map"][0], found["logits"]["logits"][0]
                    require_finite(cells, plan)
                    answers.check_label_map("segment", label_map, cells, image, plan)
                    if min(image.shape[:2]) < network.least_side:
                        continue
                    known = reference.logits(expected.padded(image, network, options.geometry))
                    labels = labels.plus(compare_labels(label_map, known, image, plan, bound))
                    plain = plain.plus(compare_labels(label_map, known, image, plan, 0.0))
    agreement = Agreement(
        images=len(files),
        top_1=plain.crops_same / (plain.crops_decided or 1),
        label_map=plain.pixels_same / plain.pixels_decided if plain.pixels_decided else None,
        logit_error=(squares / (norm or 1.0)) ** 0.5,
    )
    return Photos(agreement, labels, difference, bound)
