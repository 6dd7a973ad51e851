"""Compare a written SavedModel with the checkpoint run through tf-slim's own network."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from export.checkpoint import Checkpoint
from export.errors import ExportError
from export.networks.network import Geometry, Network
from export.savedmodel import SERVE_TAG

_SIZES = ((256, 320), (300, 230))  # pixels; the second is no multiple of the stride


@dataclass(frozen=True)
class Parity:
    """How far an export is from tf-slim.

    Attributes:
        difference: largest difference of two logits, as a fraction of the largest logit.
        probability_difference: largest difference of two probabilities of `classify`, as a fraction of the same.
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
        if not worst <= self.tolerance:  # also true of NaN
            raise ExportError(
                f"the export differs from tf-slim by {worst:.2g} of the largest logit (allowed: {self.tolerance:.0e}); "
                "nothing was published: does the checkpoint hold NaN or infinite weights?"
            )


def compare_with_slim(
    folder: Path,
    checkpoint: Checkpoint,
    network: Network,
    classes: int,
    geometry: Geometry,
    output_stride: int,
) -> Parity:
    """Run both on generated images, one network after the other in memory.

    Args:
        folder: the SavedModel.
        checkpoint: what tf-slim's network gets its variables from, read anew.
        network: what to build, classes: its number of logits.
        geometry: of the export; tf-slim lacks the aligned one's fc6: the cells whose window lies inside are compared.
        output_stride: of the export; of its cells, those that the network has without it are compared.
    """
    images = [_image(height, width, seed) for seed, (height, width) in enumerate(_SIZES)]
    square = _image(network.resize_side, network.resize_side, len(images))
    margin = (network.resize_side - network.crop) // 2
    crop = square[margin : margin + network.crop, margin : margin + network.crop]
    slim = _slim_logits(
        checkpoint, network, classes, [*(_prepared(image, network, geometry) for image in images), crop]
    )
    exported, probabilities = _exported(folder, images, square)
    step = network.stride // output_stride
    exported = [logits[::step, ::step] for logits in exported]
    if geometry == "aligned":
        inside = slice(network.window // 2, -(network.window // 2))
        exported = [logits[inside, inside] for logits in exported]
    largest = max(float(np.abs(logits).max()) for logits in slim)
    pairs = list(zip(exported, slim[:-1], strict=True))
    return Parity(
        difference=max(float(np.abs(a - b).max()) for a, b in pairs) / largest,
        probability_difference=float(np.abs(probabilities - _softmax(slim[-1][0, 0])).max()) / largest,
        argmax_agreement=float(
            np.mean(np.concatenate([(a.argmax(-1) == b.argmax(-1)).ravel() for a, b in pairs]))
        ),
        cells=sum(a.shape[0] * a.shape[1] for a, _ in pairs),
        tolerance=network.tolerance,
    )


def _image(height: int, width: int, seed: int) -> np.ndarray:
    """Coarse coloured blobs under fine noise, uint8 [H, W, 3]: both large and small activations."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 32 + 1, width // 32 + 1, 3))
    blobs = np.kron(coarse, np.ones((32, 32, 1)))[:height, :width]
    return np.clip(blobs + rng.normal(0, 24, blobs.shape), 0, 255).astype(np.uint8)


def _prepared(image: np.ndarray, network: Network, geometry: Geometry) -> np.ndarray:
    """The image as the export's network sees it, but for the mean: padded with the mean colour."""
    if geometry == "valid":
        return image
    height, width, _ = image.shape
    padded = np.empty((height + -height % network.stride, width + -width % network.stride, 3), np.float32)
    padded[:] = network.mean_rgb
    padded[:height, :width] = image
    return padded


def _slim_logits(
    checkpoint: Checkpoint, network: Network, classes: int, images: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """tf-slim's logits [h, w, C] of each image."""
    import tf_slim  # slow, and only parity needs it

    build = getattr(importlib.import_module(network.slim_module), network.name)
    with tf.Graph().as_default():
        pixels = tf.compat.v1.placeholder(tf.float32, [1, None, None, 3])
        net = pixels - tf.constant(network.mean_rgb)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tf-slim about Keras, about which our user can do nothing
            logits, _ = build(net, num_classes=classes, is_training=False, spatial_squeeze=False)
        variables = {variable.op.name: variable for variable in tf_slim.get_model_variables()}
        with tf.compat.v1.Session() as session:
            # TensorFlow's own V1 reader would take seconds and twice the checkpoint's size in memory.
            for name, value in checkpoint.read_all(variables):
                variables[name].load(value, session)
            return [np.asarray(session.run(logits, {pixels: image[None]})[0]) for image in images]


def _exported(
    folder: Path, images: Sequence[np.ndarray], square: np.ndarray
) -> tuple[list[np.ndarray], np.ndarray]:
    """The export's logits [h, w, C] of each image, and its probabilities [C] of `square`."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        signatures = tf.compat.v1.saved_model.load(session, [SERVE_TAG], str(folder)).signature_def

        def run(signature: str, output: str, image: np.ndarray) -> np.ndarray:
            definition = signatures[signature]
            feed = {definition.inputs["images"].name: image[None]}
            return np.asarray(session.run(definition.outputs[output].name, feed)[0])

        return [run("logits", "logits", image) for image in images], run("classify", "probabilities", square)


def _softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - logits.max())
    return np.asarray(exponentials / exponentials.sum())
