"""Compare every signature of a written SavedModel with an independent reference, on generated images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ExportError
from ..graph.serving_graph import CROP_LOGITS
from ..networks.rounding import tolerance
from ..plan.plan import Plan
from ..types import Array
from .exported import Exported
from .generated import Generated, example, png
from .labels import Labels, at_fault, compare_labels, compare_top_1
from .reference import answers, expected
from .reference.slim_reference import SlimReference, about_reference

_Answers = dict[str, dict[str, Array]]


@dataclass(frozen=True)
class Parity:
    """How far an export is from its reference.

    Attributes:
        difference: largest difference of two logits, as a fraction of the largest logit.
        probability_difference: largest difference of two probabilities of `classify`, as a fraction of the same where
            that is above 1: probabilities lie between 0 and 1, however small the logits are.
        argmax_agreement: fraction of logits cells and crops with the same best class.
        cells: number of them that were compared.
        tolerance: what both differences may be at most; softmax has Lipschitz constant 1: one bound serves both.
        reference: what the export is compared with, in words.
        variation: how much a score of the reference differs between photos at most, as a fraction of the largest logit.
        labels: how the best classes and the label map's labels compare with the reference's.
        signatures: what was compared of each signature, in words.
    """

    difference: float
    probability_difference: float
    argmax_agreement: float
    cells: int
    tolerance: float
    reference: str = ""
    variation: float = 1.0
    labels: Labels = field(default_factory=Labels)
    signatures: dict[str, str] = field(default_factory=dict)

    def warnings(self) -> list[str]:
        """Say where answers do not depend on the image, as of weights that were never trained."""
        if self.variation > _NO_VARIATION:
            return []
        return [
            "the network gives different images the same scores: its last layer is untrained, or a layer before it "
            "gives zeros; see whether this is the checkpoint that you mean"
        ]

    def require(self, precision: str = "float32") -> None:
        """Raise ExportError where the export differs from its reference by more than rounding in this precision."""
        worst = max(self.difference, self.probability_difference)
        if not np.isfinite(worst):
            raise ExportError(
                "the network computes NaN or infinite logits of ordinary images, although every weight is finite; "
                "nothing was published: "
                + (
                    "float16 ends at 65504, export it with --precision bfloat16 or float32"
                    if precision == "float16"
                    else "export an earlier checkpoint of the training"
                )
            )
        if worst > self.tolerance:
            raise ExportError(
                f"the export differs from its reference by {worst:.2g} of the largest logit "
                f"(rounding explains {self.tolerance:.1g}); nothing was published: {at_fault(precision)}"
            )
        self.labels.require(precision)


def compare_with_reference(folder: Path, plan: Plan) -> Parity:
    """Run the SavedModel in `folder` and the reference on generated images, one after the other in memory.

    The reference gets its variables from the checkpoint, read anew. It lacks the aligned geometry's fc6: the cells
    whose window lies inside are compared; of a smaller output stride's cells, those that the network has without it.

    Raises:
        ExportError: a signature answers otherwise than its scores say.
    """
    network, options = plan.network, plan.options
    images = Generated.of(plan)
    with SlimReference(plan) as reference:
        of_crops = [
            reference.logits(expected.crop(photo, network)).mean(axis=(0, 1)) for photo in images.photos
        ]
        of_cells = [
            reference.logits(expected.padded(photo, network, options.geometry))
            for photo in images.photos[: images.segmented]
        ]
    bound = tolerance(network, options.precision)
    with Exported(folder) as exported:
        crops, probabilities = _classified(exported, plan, images, bound)
        cells, labels = _segmented(exported, plan, images, of_cells, bound)
        pairs = list(zip([*cells, *crops], [*of_cells, *of_crops], strict=True))
        for ours, exact in pairs:
            if ours.shape != exact.shape:
                answers.refuse(
                    "logits", f"gives scores {list(ours.shape)} where the reference gives {list(exact.shape)}"
                )
        # A last layer that training has not touched yet may be all zeros.
        largest = max(float(np.abs(logits).max()) for _, logits in pairs) or 1.0
        difference = max(float(np.abs(a - b).max()) for a, b in pairs) / largest
        if difference <= bound:  # else the scores are wrong themselves, which `Parity.require` says
            _alone(exported, plan, images, crops, bound)
        _named(exported, plan)
        compared = {name: _COMPARED[name] for name in sorted(exported.signatures.keys() & _COMPARED.keys())}
    agreement = np.concatenate([np.ravel(a.argmax(-1) == b.argmax(-1)) for a, b in pairs])
    softmax = expected.softmax(np.stack(of_crops))
    return Parity(
        difference=difference,
        probability_difference=float(np.abs(probabilities - softmax).max()) / max(largest, 1.0),
        argmax_agreement=float(agreement.mean()),
        cells=agreement.size,
        tolerance=bound,
        reference=about_reference(network),
        variation=float(np.ptp(np.stack(of_crops), axis=0).max()) / largest,
        labels=labels.plus(compare_top_1(crops, of_crops, bound, options.precision)),
        signatures=compared,
    )


_NO_VARIATION = 1e-5  # what float32 rounding makes of features that say nothing: 3e-7 in a MobileNet v2
_COMPARED = {
    "classify": "the scores of two resized photos in one request with the reference's; their ranking, names and "
    "probabilities with NumPy's",
    "classify_bytes": "the same photos as PNG files with classify",
    "classify_examples": "one of them in a tf.Example with classify",
    "logits": "the cells of a photo with the reference's; labels and types with NumPy's",
    "segment": "the label maps of a photo and of small images, alone and two in a request, with all and with half of "
    "the classes, with scores upsampled in float64; the photo's also with the reference's; the names with the labels",
    "segment_bytes": "two small images of different sizes as PNG files, with all and with half of the classes, with "
    "scores upsampled in float64; the names with the labels",
    "serving_default": "ranking, names and label maps of the same images with NumPy's",
    "labels": "the names of all classes with the labels",
    "network": "the scores of a small image's pixels, or of a crop where the network only classifies, with logits or "
    "classify",
}


def _classified(exported: Exported, plan: Plan, images: Generated, bound: float) -> tuple[list[Array], Array]:
    """Logits [C] of the photos' crops, and their probabilities [photos, C]."""
    photos = images.photos
    names = ["classify"] if plan.network.segments else ["classify", "serving_default"]
    found = _in_requests(exported, names, "images", list(photos), images.together, tensor=CROP_LOGITS)
    logits, classified = found[""][CROP_LOGITS], found["classify"]
    require_finite(logits, plan)
    for name in names:
        answers.check_ranking(name, found[name], logits, plan)
    files = [png(photo) for photo in photos]
    inputs = {"classify_bytes": ("image_bytes", files), "classify_examples": ("inputs", [example(files[-1])])}
    for name, (key, encoded) in inputs.items():
        answer = _in_requests(exported, [name], key, encoded, images.together, tensor=CROP_LOGITS)
        of_files = answer[""][CROP_LOGITS]
        answers.check_same(name, of_files, logits[-len(of_files) :], bound)
        answers.check_ranking(name, answer[name], of_files, plan)
    return list(logits), classified["probabilities"]


def _segmented(
    exported: Exported, plan: Plan, images: Generated, of_cells: Sequence[Array], bound: float
) -> tuple[list[Array], Labels]:
    """The cells [h, w, C] of the photo that are compared with the reference's, and how its labels compare."""
    network, options = plan.network, plan.options
    if not network.segments:
        return [], Labels()
    *pair, other = images.small
    names = ["logits", "segment", "serving_default"]
    logits = [
        _check_whole(_in_requests(exported, names, "images", together, images.together), together, plan)
        for together in (pair, [other])
    ]
    files = [png(pair[0]), png(other)]
    encoded = _in_requests(exported, ["segment_bytes"], "image_bytes", files, images.together)
    label_maps = answers.decoded_label_maps(list(encoded["segment_bytes"]["label_png"]), plan)
    # In float16 an image's scores depend on how many go through the network together.
    (alone,) = exported("logits", images=pair[0][None])["logits"]["logits"]
    of_files = zip(label_maps, (alone, logits[1][0]), (pair[0], other), strict=True)
    for label_map, scores, image in of_files:
        answers.check_label_map("segment_bytes", label_map, scores, image, plan)
    _check_chosen(exported, pair[0], alone, plan)
    if not of_cells:
        return [], Labels()
    found = exported(*names, images=images.photos[:1])
    (scores,) = _check_whole(found, images.photos[:1], plan)
    finer = network.stride // options.output_stride
    cells = expected.inside(scores[::finer, ::finer], network, options.geometry)
    labels = compare_labels(found["segment"]["label_map"][0], of_cells[0], images.photos[0], plan, bound)
    return [cells], labels


def _check_whole(found: _Answers, images: Sequence[Array], plan: Plan) -> Array:
    """Check the signatures that take whole images, of these; return their logits [N, h, w, C]."""
    logits = found["logits"]["logits"]
    require_finite(logits, plan)
    answers.check_cells(found["logits"], plan)
    dense = np.stack([expected.dense(scores, plan.network, plan.options) for scores in logits])
    answers.check_ranking("serving_default", found["serving_default"], dense, plan)
    for name in ("segment", "serving_default"):
        for label_map, scores, image in zip(found[name]["label_map"], logits, images, strict=True):
            answers.check_label_map(name, label_map, scores, image, plan)
    return logits


def _check_chosen(exported: Exported, image: Array, logits: Array, plan: Plan) -> None:
    """Check the label maps of an image [H, W, 3], whose scores are [h, w, C], where every other class may compete."""
    every = np.arange(len(plan.labels.names), dtype=np.int32)
    chosen = every[::-2]
    found = exported("segment", "serving_default", images=image[None], classes=chosen)
    found |= exported("segment_bytes", image_bytes=[png(image)], classes=chosen)
    label_maps = {name: found[name]["label_map"][0] for name in ("segment", "serving_default")}
    (label_maps["segment_bytes"],) = answers.decoded_label_maps(
        list(found["segment_bytes"]["label_png"]), plan
    )
    for name, label_map in label_maps.items():
        answers.check_label_map(name, label_map, logits, image, plan, chosen)
        names = found[name]["label_names" if name == "serving_default" else "class_names"]
        answers.check_names(name, names, every, plan)


def _alone(exported: Exported, plan: Plan, images: Generated, crops: Sequence[Array], bound: float) -> None:
    """Check the signature `network` against the scores that are compared with the reference's."""
    network, geometry = plan.network, plan.options.geometry
    if network.segments:
        pixels = images.small[0]
        scores = exported("logits", images=pixels[None])["logits"]["logits"]
        features = expected.padded(pixels, replace(network, border=(0, 0)), geometry)
        found = exported("network", features=features[None])["network"]["logits"]
    else:
        scores = np.stack(crops[:1])
        features = expected.crop(images.photos[0], network)
        found = exported("network", features=features[None])["network"]["logits"].mean(axis=(1, 2))
    answers.check_same("network", found, scores, bound)


def _named(exported: Exported, plan: Plan) -> None:
    ids = np.arange(len(plan.labels.names), dtype=np.int32)[::-1]
    answers.check_names("labels", exported("labels", class_ids=ids)["labels"]["class_names"], ids, plan)


def _in_requests(
    exported: Exported,
    names: Sequence[str],
    key: str,
    items: Sequence[Any],
    together: int,
    tensor: str | None = None,
) -> _Answers:
    """Run signatures on all images, as many in a request as the export takes, and join what they answer."""
    parts = (items[start : start + together] for start in range(0, len(items), together))
    found = [exported(*names, tensor=tensor, **{key: part}) for part in parts]
    return {
        name: {output: np.concatenate([each[name][output] for each in found]) for output in found[0][name]}
        for name in found[0]
    }


def require_finite(logits: Array, plan: Plan) -> None:
    """Raise ExportError, as of an export that differs, where a score is infinite or no number."""
    if not np.isfinite(logits).all():
        Parity(np.nan, 0.0, 0.0, 1, 1.0).require(plan.options.precision)
