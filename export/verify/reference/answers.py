"""Each signature's answers held against NumPy: what they must be, given the scores that the network gave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NoReturn

import numpy as np
import tensorflow as tf

from ...errors import ExportError
from ...plan.plan import Plan
from ...types import Array
from . import expected, guided
from .upsampled import rows_of_scores

# Float32 sums of a softmax or of an interpolation between four cells, against float64: some ten unit roundoffs.
_ROUNDING = 1e-5
_ROWS_APART = 5  # of those that are compared in a larger label map
_SMALL = 128
_NEVER = -1e30  # a score that wins nowhere


def refuse(signature: str, what: str) -> NoReturn:
    """Raise the ExportError of an export that answers wrongly."""
    raise ExportError(
        f"the export's signature {signature} {what}; nothing was published: this is a fault of the exporter, please "
        "report it with the checkpoint's network"
    )


def check_ranking(signature: str, answer: Mapping[str, Array], logits: Array, plan: Plan) -> None:
    """Refuse classes, names or scores that are not the best of `logits` [N, C], in their order."""
    probabilities = expected.softmax(logits)
    k = min(plan.options.top_k, probabilities.shape[-1])
    best = -np.sort(-probabilities)[:, :k]
    bound = _ROUNDING * max(1.0, float(np.abs(logits).max()))
    scores = answer["scores"]
    if scores.dtype != np.float32 or scores.shape != best.shape or not np.abs(scores - best).max() <= bound:
        refuse(signature, "gives other scores than the network's best")
    names = answer["class_names"] if "class_names" in answer else answer["classes"]
    if "class_ids" in answer:
        ids = answer["class_ids"]
        off = np.abs(np.take_along_axis(probabilities, ids, -1) - scores)
        if ids.dtype != np.int32 or not off.max() <= bound:
            refuse(signature, "gives scores to other classes than the network does")
        if not np.array_equal(names, _names(plan)[ids]):
            refuse(signature, "gives classes other names than the labels do")
    if "probabilities" in answer and not np.abs(answer["probabilities"] - probabilities).max() <= bound:
        refuse(signature, "gives other probabilities than the network's scores")


def check_same(signature: str, logits: Array, of_pixels: Array, bound: float) -> None:
    """Refuse scores [N, C], or of cells [N, h, w, C], that are not those of the same pixels by another signature.

    `bound` is what rounding explains, as a fraction of the largest.
    """
    same = logits.shape == of_pixels.shape
    if not same or not np.abs(logits - of_pixels).max() <= bound * np.abs(of_pixels).max():
        refuse(signature, "gives other scores than another signature gives for the same pixels")


def check_names(signature: str, names: Array, ids: Array, plan: Plan) -> None:
    """Refuse names that are not those of the classes `ids`."""
    if not np.array_equal(names, _names(plan)[ids]):
        refuse(signature, "gives classes other names than the labels do")


def _names(plan: Plan) -> Array:
    return np.array([name.encode() for name in plan.labels.names], object)


def check_cells(answer: Mapping[str, Array], plan: Plan) -> None:
    """Refuse what `logits` says beside its scores."""
    logits, labels = answer["logits"], answer["labels"]
    if logits.dtype != np.float32:
        refuse("logits", f"gives {logits.dtype.name} scores instead of float32")
    check_label_dtype("logits", labels, plan)
    chosen = np.take_along_axis(logits, labels[..., None].astype(np.int64), -1)[..., 0]
    if not np.array_equal(chosen, logits.max(-1)):
        refuse("logits", "labels cells otherwise than its own scores")
    if not (answer["receptive_field"] == plan.options.receptive_field(plan.network)).all():
        refuse("logits", "states another receptive field than the network's")


def check_label_dtype(signature: str, labels: Array, plan: Plan) -> None:
    """Refuse labels of another type than the contract's."""
    wanted = expected.label_dtype(len(plan.labels.names))
    if labels.dtype != wanted:
        refuse(signature, f"gives labels of type {labels.dtype.name} instead of {np.dtype(wanted).name}")


def check_label_map(
    signature: str, label_map: Array, logits: Array, image: Array, plan: Plan, classes: Array | None = None
) -> None:
    """Refuse a label map [H, W] that is not the argmax of the image's scores [h, w, C], upsampled in float64.

    Of classes whose scores differ by rounding alone, each is right. Of a larger image every fifth row is compared. With
    `classes`, int [K], only these compete. The `image` is uint8 [H, W, 3].
    """
    network, options = plan.network, plan.options
    check_label_dtype(signature, label_map, plan)
    size = (label_map.shape[0], label_map.shape[1])
    rows, columns = expected.places(size, (logits.shape[0], logits.shape[1]), network, options)
    wrong = compared = 0
    bound = _ROUNDING * float(np.abs(logits).max())
    if classes is not None:
        others = np.setdiff1d(np.arange(logits.shape[-1]), classes)
        logits = logits.astype(np.float64)
        logits[..., others] = _NEVER
    logits = expected.pooled(logits, options.pooled_cells(network))
    if options.upsampling != "nearest" and options.output_stride in network.averaged_strides:
        logits = expected.averaged(logits.astype(np.float64))
    scores_of = rows_of_scores(logits, image, (rows, columns), network, options, bound)
    if options.upsampling == "guided":
        bound = guided.rounding(logits, bound)
    for row in range(0, size[0], _ROWS_APART if max(size) > _SMALL else 1):
        scores = scores_of(row)
        labels = label_map[row].astype(np.int64)
        if labels.max() >= logits.shape[-1]:
            refuse(signature, "gives labels that no class has")
        wrong += int(np.sum(scores.behind(labels) > bound))
        compared += size[1]
    if wrong:
        refuse(
            signature,
            f"gives {wrong} of {compared} pixels another label than their upsampled scores in float64, beyond ties",
        )


def decoded_label_maps(pngs: Sequence[bytes], plan: Plan) -> list[Array]:
    """The label maps of `segment_bytes`, of the type that the contract has."""
    dtype = tf.as_dtype(expected.label_dtype(len(plan.labels.names)))
    return [tf.io.decode_png(png, channels=1, dtype=dtype).numpy()[..., 0] for png in pngs]
