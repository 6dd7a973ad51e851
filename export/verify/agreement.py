"""What 8 bits cost: the export and the float32 network on images that the ranges do not come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from ..errors import ExportError
from ..savedmodel.write import SERVE_TAG
from ..types import StepProgress
from .calibration import FloatModel, refused_image


@dataclass(frozen=True)
class Agreement:
    """How an export compares with the float32 network.

    Attributes:
        images: number of images compared.
        top_1: fraction of images that `classify` puts into the same class.
        label_map: fraction of pixels that `segment` gives the same label.
        logit_error: norm of the logits' difference, as a fraction of the norm of float32's.
    """

    images: int
    top_1: float
    label_map: float
    logit_error: float

    def require(self, percent: float) -> None:
        """Raise ExportError unless `percent` of the label maps' pixels agree."""
        if not self.label_map * 100 >= percent:
            raise ExportError(
                f"8 bits and float32 agree in {self.label_map:.2%} of the pixels of {self.images} images held out "
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
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        signatures = tf.compat.v1.saved_model.load(session, [SERVE_TAG], str(folder)).signature_def
        outputs = (("classify", "class_ids"), ("segment", "label_map"), ("logits", "logits"))
        names = [signatures[signature].outputs[output].name for signature, output in outputs]
        image_bytes = signatures["classify_bytes"].inputs["image_bytes"].name
        for count, file in enumerate(images, 1):
            with refused_image(file):
                image = file.read_bytes()
                class_ids, label_maps, logits = session.run(names, {image_bytes: [image]})
                expected = model.answer(image)
            same_class += int(class_ids[0, 0] == expected.class_id)
            same_labels += int(np.count_nonzero(label_maps[0] == expected.label_map))
            pixels += expected.label_map.size
            difference += float(np.square(logits[0] - expected.logits, dtype=np.float64).sum())
            norm += float(np.square(expected.logits, dtype=np.float64).sum())
            progress(count / len(images))
    return Agreement(
        len(images), same_class / len(images), same_labels / pixels, (difference / (norm or 1.0)) ** 0.5
    )
