"""Compare a written SavedModel with the checkpoint run through tf-slim's own network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from ..errors import ExportError
from ..graph import CROP_LOGITS
from ..networks import Network
from ..networks.rounding import tolerance
from ..plan import Plan
from ..savedmodel.write import SERVE_TAG
from ..types import Geometry
from .slim_reference import slim_logits

_SIZES = ((250, 270),)  # height and width in pixels; no multiples of the stride
_CROPS = 2


@dataclass(frozen=True)
class Parity:
    """How far an export is from tf-slim.

    Attributes:
        difference: largest difference of two logits, as a fraction of the largest logit.
        probability_difference: largest difference of two probabilities of `classify`, as a fraction of the same where
            that is above 1: probabilities lie between 0 and 1, however small the logits are.
        argmax_agreement: fraction of logits cells with the same best class.
        cells: number of logits cells compared.
        tolerance: what both differences may be at most; softmax has Lipschitz constant 1: one bound serves both.
    """

    difference: float
    probability_difference: float
    argmax_agreement: float
    cells: int
    tolerance: float

    def require(self) -> None:
        """Raise ExportError where the export differs from tf-slim by more than rounding."""
        worst = max(self.difference, self.probability_difference)
        if not np.isfinite(worst):
            raise ExportError(
                "the network computes NaN or infinite logits of ordinary images, although every weight is finite; "
                "nothing was published: export an earlier checkpoint of the training"
            )
        if worst > self.tolerance:
            raise ExportError(
                f"the export differs from tf-slim by {worst:.2g} of the largest logit "
                f"(rounding explains {self.tolerance:.1g}); "
                "nothing was published: this is a fault of the exporter, please report it with the checkpoint's network"
            )


def compare_with_slim(folder: Path, plan: Plan) -> Parity:
    """Run the SavedModel in `folder` and tf-slim's network on generated images, one after the other in memory.

    tf-slim's network gets its variables from the checkpoint, read anew. It lacks the aligned geometry's fc6: the cells
    whose window lies inside are compared; of a smaller output stride's cells, those that the network has without it.
    """
    network, options = plan.network, plan.options
    largest_side = math.isqrt(options.max_pixels)
    images = [
        _image(height, width, seed) for seed, (height, width) in enumerate(_sizes(network, largest_side))
    ]
    side = min(network.preprocessing.untouched_side(network.crop), largest_side)
    squares = [_image(side, side, len(_SIZES) + seed) for seed in range(_CROPS)]
    prepared = [_padded(_prepared(image, network), network, options.geometry) for image in images]
    crops = [_prepared(_centre(square, network), network) for square in squares]
    slim = slim_logits(plan, prepared + crops)
    slim_cells = slim[: len(images)] + [logits.mean(axis=(0, 1)) for logits in slim[len(images) :]]
    whole, cropped, probabilities = _exported(folder, images, squares)
    step = network.stride // options.output_stride
    whole = [_inside(logits[::step, ::step], network, options.geometry) for logits in whole]
    # A last layer that training has not touched yet may be all zeros.
    largest = max(float(np.abs(logits).max()) for logits in slim_cells) or 1.0
    pairs = list(zip([*whole, *cropped], slim_cells, strict=True))
    agreement = np.concatenate([np.ravel(a.argmax(-1) == b.argmax(-1)) for a, b in pairs])
    softmax = [_softmax(logits) for logits in slim_cells[len(images) :]]
    return Parity(
        difference=max(float(np.abs(a - b).max()) for a, b in pairs) / largest,
        probability_difference=float(np.abs(probabilities - softmax).max()) / max(largest, 1.0),
        argmax_agreement=float(agreement.mean()),
        cells=agreement.size,
        tolerance=tolerance(network, options.precision),
    )


def _sizes(network: Network, largest_side: int) -> list[tuple[int, int]]:
    """Of the whole images: those that the limit allows, and that fc6's window fits into."""
    if not network.segments or largest_side < network.crop:
        return []
    return [size if math.prod(size) <= largest_side**2 else (largest_side, largest_side) for size in _SIZES]


def _image(height: int, width: int, seed: int) -> np.ndarray:
    """Coarse coloured blobs under fine noise, uint8 [H, W, 3]: both large and small activations."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 32 + 1, width // 32 + 1, 3))
    blobs = np.kron(coarse, np.ones((32, 32, 1)))[:height, :width]
    return np.clip(blobs + rng.normal(0, 24, blobs.shape), 0, 255).astype(np.uint8)


def _centre(square: np.ndarray, network: Network) -> np.ndarray:
    """The central crop as slim evaluates the network; a square of `untouched_side` is not resized by it."""
    side, preprocessing = network.crop, network.preprocessing
    if preprocessing.resize_side is None:
        margin = int(len(square) * (1 - preprocessing.central_fraction) / 2)
        return _resized(square[margin : len(square) - margin, margin : len(square) - margin], side)
    margin = (preprocessing.resize_side - side) // 2
    return _resized(square, preprocessing.resize_side)[margin : margin + side, margin : margin + side]


def _resized(square: np.ndarray, side: int) -> np.ndarray:
    """Bilinear, sampled at the pixels' upper left corners, TensorFlow 1's default: float32 [side, side, 3]."""
    place = np.arange(side, dtype=np.float32) * np.float32(len(square) / side)
    lower = place.astype(np.int64)
    upper = np.minimum(lower + 1, len(square) - 1)
    share = (place - lower)[:, None]
    image = square.astype(np.float32)
    image = image[lower] * (1 - share[..., None]) + image[upper] * share[..., None]
    return np.asarray(image[:, lower] * (1 - share) + image[:, upper] * share)


def _prepared(image: np.ndarray, network: Network) -> np.ndarray:
    """The pixels as the network takes them, float32 [H, W, 3]."""
    mean = np.array(network.preprocessing.mean_rgb, np.float32)
    return np.asarray((image - mean) / np.float32(network.preprocessing.scale))


def _padded(image: np.ndarray, network: Network, geometry: Geometry) -> np.ndarray:
    """The prepared image as the export's network sees it."""
    if geometry == "valid":
        return image
    before, behind = network.border
    sides = [(before, behind + -side % network.multiple) for side in image.shape[:2]]
    return np.pad(image, [*sides, (0, 0)])


def _inside(logits: np.ndarray, network: Network, geometry: Geometry) -> np.ndarray:
    """The cells [h, w, C] that padding of the last feature map does not reach."""
    if geometry == "valid":
        return logits
    before, behind = (network.window - 1) // 2, network.window // 2
    return logits[before : len(logits) - behind, before : logits.shape[1] - behind]


def _exported(
    folder: Path, images: Sequence[np.ndarray], squares: Sequence[np.ndarray]
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """The export's logits [h, w, C] of each image, and its logits and probabilities [squares, C] of the crops."""
    # Optimizing the graph would take longer than the few runs that it is for.
    config = tf.compat.v1.ConfigProto()
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    with tf.Graph().as_default(), tf.compat.v1.Session(config=config) as session:
        signatures = tf.compat.v1.saved_model.load(session, [SERVE_TAG], str(folder)).signature_def
        pixels = signatures["classify"].inputs["images"].name
        whole = [
            session.run(signatures["logits"].outputs["logits"].name, {pixels: image[None]})[0]
            for image in images
        ]
        probabilities = signatures["classify"].outputs["probabilities"].name
        crops, scores = session.run([CROP_LOGITS, probabilities], {pixels: np.stack(squares)})
        return whole, crops, scores


def _softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - logits.max())
    return np.asarray(exponentials / exponentials.sum())
