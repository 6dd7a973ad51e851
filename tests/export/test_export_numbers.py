"""Every number that an exported model returns, against tf-slim or NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from slimserve.export.demo.scenes import CLASS_NAMES
from slimserve.export.networks.pages.vgg import VGG_16
from slimserve.export.plan.options import GraphOptions

from tests.support import numpy_reference as reference
from tests.support.narrow import export_narrow, narrow_weights
from tests.support.saved_model import SavedModel
from tests.support.slim_exports import noise
from tests.support.slim_preprocessing import untouched_side

LARGER = [(333, 517), (640, 480)]  # behind `make soak`


def slim_logits(checkpoint: Path, classes: int, images: np.ndarray) -> np.ndarray:
    """Logits of `tf_slim.nets.vgg.vgg_16`, restored from the checkpoint."""
    import tf_slim
    from tf_slim.nets import vgg

    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        pixels = tf.constant(images, tf.float32) - tf.constant(reference.MEAN_RGB)
        logits, _ = vgg.vgg_16(pixels, num_classes=classes, is_training=False, spatial_squeeze=False)
        tf.compat.v1.train.Saver(tf_slim.get_model_variables()).restore(session, str(checkpoint))
        return session.run(logits)


def relative_difference(a: np.ndarray, b: np.ndarray) -> float:
    """Largest difference as a fraction of the largest value of `b`."""
    return float(np.abs(a - b).max() / np.abs(b).max())


@pytest.mark.soak
@pytest.mark.filterwarnings("ignore:`layer.apply` is deprecated")
@pytest.mark.parametrize(
    "sizes", [[(224, 224)], [(263, 301)], [(256, 320)], *([size] for size in LARGER), [(224, 256)] * 3]
)
def test_logits_of_the_valid_geometry_are_those_of_slim(
    valid: SavedModel, weights: dict[str, np.ndarray], demo_checkpoint: Path, sizes: list[tuple[int, int]]
) -> None:
    images = np.stack([noise(*size, seed) for seed, size in enumerate(sizes)])
    logits = valid("logits", images=images)["logits"]
    expected = slim_logits(demo_checkpoint, logits.shape[-1], images)
    assert relative_difference(logits, expected) <= 2 * reference.network_rounding(weights)
    assert (logits.argmax(-1) == expected.argmax(-1)).all()


@pytest.fixture(scope="module")
def narrow_valid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SavedModel]:
    """VGG-16 with a sixteenth of its channels, exported as the slim tutorial segments."""
    options = GraphOptions(geometry="valid", upsampling="nearest")
    with SavedModel(export_narrow(tmp_path_factory.mktemp("valid"), options)) as model:
        yield model


@pytest.mark.parametrize("sizes", [[(224, 224)], [(263, 301)], [(224, 256)] * 3])
def test_logits_of_the_valid_geometry_are_those_of_numpy(
    narrow_valid: SavedModel, sizes: list[tuple[int, int]]
) -> None:
    images = np.stack([noise(*size, seed) for seed, size in enumerate(sizes)])
    weights = narrow_weights(VGG_16, len(CLASS_NAMES))
    for image, logits in zip(images, narrow_valid("logits", images=images)["logits"], strict=True):
        expected = reference.vgg_16(image - reference.MEAN_RGB, weights, fc6_padding=0)
        assert relative_difference(logits, expected) <= reference.network_rounding(weights)


def test_small_image_is_refused_by_the_valid_geometry(narrow_valid: SavedModel) -> None:
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"image 0 is 300x100 pixels .* at least 224x224"
    ):
        narrow_valid("segment", images=np.zeros((1, 100, 300, 3), np.uint8))


@pytest.mark.filterwarnings("ignore:`layer.apply` is deprecated")
def test_classification_of_an_image_of_the_networks_size_is_that_of_slim(
    aligned: SavedModel, weights: dict[str, np.ndarray], demo_checkpoint: Path
) -> None:
    side = untouched_side(VGG_16)  # its crop is taken without resizing
    image = noise(side, side)
    probabilities = aligned("classify", images=image[None])["probabilities"][0]
    edge = (side - VGG_16.crop) // 2
    crop = image[None, edge : edge + VGG_16.crop, edge : edge + VGG_16.crop]
    logits = slim_logits(demo_checkpoint, len(probabilities), crop)[0, 0, 0]
    difference = np.abs(reference.centred(np.log(probabilities)) - reference.centred(logits))
    assert difference.max() <= 2 * reference.network_rounding(weights) * np.abs(logits).max()


@pytest.mark.parametrize("size", [(1, 1), (31, 33), (96, 160), (150, 70)])
def test_logits_of_the_aligned_geometry_are_those_of_numpy(
    aligned: SavedModel, weights: dict[str, np.ndarray], size: tuple[int, int]
) -> None:
    image = noise(*size)
    logits = aligned("logits", images=image[None])["logits"][0]
    expected = reference.aligned_logits(image, weights)
    assert relative_difference(logits, expected) <= reference.network_rounding(weights)


def test_coarse_labels_are_the_argmax_of_the_logits(aligned: SavedModel) -> None:
    answer = aligned("logits", images=noise(200, 300)[None])
    assert (answer["labels"] == answer["logits"].argmax(-1)).all()


@pytest.mark.parametrize(
    "size", [(1, 1), (64, 96), (133, 217), pytest.param(LARGER[0], marks=pytest.mark.soak)]
)
def test_label_map_is_the_argmax_of_bilinear_scores(aligned: SavedModel, size: tuple[int, int]) -> None:
    images = noise(*size)[None]
    logits = aligned("logits", images=images)["logits"][0]
    scores = reference.resize_bilinear(logits, logits.shape[0] * 32, logits.shape[1] * 32)[
        : size[0], : size[1]
    ]
    label_map = aligned("segment", images=images)["label_map"][0]
    chosen = np.take_along_axis(scores, label_map[..., None].astype(int), -1)[..., 0]
    assert label_map.shape == size
    # The reference is in float64. In float32, a place is known to a roundoff of the number of cells, and each of two
    # interpolations rounds twice; so do the best score and the chosen one.
    rounding = 2 * (max(logits.shape[:2]) + 4) * np.finfo(np.float32).eps
    assert (scores.max(-1) - chosen).max() <= rounding * np.abs(scores).max()


def test_nearest_label_map_stretches_the_coarse_labels(narrow_valid: SavedModel) -> None:
    images = noise(300, 290)[None]
    labels = narrow_valid("logits", images=images)["labels"][0]
    rows = (np.arange(300) + 0.5) * labels.shape[0] // 300
    columns = (np.arange(290) + 0.5) * labels.shape[1] // 290
    expected = labels[rows.astype(int)][:, columns.astype(int)]
    assert (narrow_valid("segment", images=images)["label_map"][0] == expected).all()


@pytest.mark.parametrize(
    "size",
    [
        (97, 31),
        *(pytest.param(size, marks=pytest.mark.soak) for size in [(300, 400), (256, 256), (500, 333)]),
    ],
)
def test_classification_is_that_of_slims_central_crop(
    aligned: SavedModel, weights: dict[str, np.ndarray], size: tuple[int, int]
) -> None:
    image = noise(*size)
    logits = reference.vgg_16(reference.central_crop(image), weights, fc6_padding=0)[0, 0]
    probabilities = aligned("classify", images=image[None])["probabilities"][0]
    # Twice: the pixels are resized in float32 too.
    difference = np.abs(reference.centred(np.log(probabilities)) - reference.centred(logits))
    assert difference.max() <= 2 * reference.network_rounding(weights) * np.abs(logits).max()


@pytest.mark.parametrize("size", [(40, 300), (260, 290)])
def test_dense_scores_average_the_cells_whose_window_lies_inside(
    aligned: SavedModel, size: tuple[int, int]
) -> None:
    images = noise(*size)[None]
    logits = aligned("logits", images=images)["logits"][0]
    inside = logits[3:-3, 3:-3] if min(logits.shape[:2]) >= 7 else logits
    probabilities = reference.softmax(inside.mean(axis=(0, 1), dtype=np.float64))
    answer = aligned("serving_default", images=images)
    rounding = reference.mean_rounding(inside)
    np.testing.assert_allclose(answer["scores"][0], np.sort(probabilities)[::-1][:5], rtol=rounding)


def test_one_pass_returns_the_label_map_of_segment(aligned: SavedModel) -> None:
    images = noise(120, 200)[None]
    both = aligned("serving_default", images=images)["label_map"]
    assert (both == aligned("segment", images=images)["label_map"]).all()


def test_ranking_is_that_of_the_probabilities(aligned: SavedModel) -> None:
    answer = aligned("classify", images=np.stack([noise(60, 90, seed) for seed in range(2)]))
    order = np.argsort(-answer["probabilities"], axis=1, kind="stable")[:, :5]
    assert (answer["class_ids"] == order).all()
    assert (answer["scores"] == np.take_along_axis(answer["probabilities"], order, axis=1)).all()


def test_one_pixel_image_of_the_largest_aspect_ratio_is_classified(aligned: SavedModel) -> None:
    # Sides below 32 pixels count as 32: 131,072 times that is what the model takes at most.
    probabilities = aligned("classify", images=np.full((1, 1, 131_072, 3), 99, np.uint8))["probabilities"]
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)
