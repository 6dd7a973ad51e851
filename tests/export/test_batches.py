"""Images of one size go through the network together, a few at a time; the answers are those of each alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from slimserve.export.graph.images.source import PIXELS_AT_ONCE

from tests.support.numpy_reference import network_rounding, resize_bilinear
from tests.support.saved_model import SavedModel
from tests.support.small_network import small_weights

SIDE = 224
AT_ONCE = PIXELS_AT_ONCE // SIDE**2
IMAGES = np.random.default_rng(2).integers(0, 256, (AT_ONCE + 2, SIDE, SIDE, 3)).astype(np.uint8)
CONVOLUTIONS = 7
ROUNDING = 2 * network_rounding(small_weights())  # of two answers, each of them rounded, to the largest logit


@pytest.fixture(scope="module")
def model(small_models: Path) -> Iterator[SavedModel]:
    with SavedModel(small_models / "small" / "1") as model:
        yield model


def png(image: np.ndarray) -> bytes:
    data: bytes = tf.io.encode_png(image).numpy()
    return data


def close(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=ROUNDING * np.abs(expected).max())


def same_labels(found: np.ndarray, expected: np.ndarray, logits: np.ndarray) -> None:
    """Labels [H, W] are the same but where the scores of the two differ by rounding alone."""
    height, width = found.shape
    scores = resize_bilinear(logits, logits.shape[0] * 32, logits.shape[1] * 32)[:height, :width]
    of_found, of_expected = (
        np.take_along_axis(scores, labels[..., None].astype(int), -1) for labels in (found, expected)
    )
    assert np.abs(of_found - of_expected).max() <= 2 * ROUNDING * np.abs(logits).max()


def test_a_batch_is_answered_as_its_images_are_alone(model: SavedModel) -> None:
    together = {name: model(name, images=IMAGES) for name in ("logits", "serving_default", "classify")}
    for index in (0, AT_ONCE - 1, AT_ONCE, len(IMAGES) - 1):
        alone = {name: model(name, images=IMAGES[index : index + 1]) for name in together}
        close(together["logits"]["logits"][index], alone["logits"]["logits"][0])
        found, expected = (each["serving_default"]["label_map"] for each in (together, alone))
        same_labels(found[index], expected[0], alone["logits"]["logits"][0])
        found, expected = (each["classify"]["probabilities"] for each in (together, alone))
        np.testing.assert_allclose(found[index], expected[0], rtol=0, atol=1e-4)
        found, expected = (each["serving_default"]["scores"] for each in (together, alone))
        np.testing.assert_allclose(found[index], expected[0], rtol=0, atol=1e-4)


def test_encoded_images_of_one_size_and_of_others_keep_their_places(model: SavedModel) -> None:
    images = [IMAGES[0], IMAGES[1], IMAGES[2][:100], IMAGES[3][:100], IMAGES[4], IMAGES[5][:, :70]]
    pngs = model("segment_bytes", image_bytes=np.array([png(image) for image in images], object))["label_png"]
    for image, found in zip(images, pngs, strict=True):
        alone = {name: model(name, images=image[None]) for name in ("segment", "logits")}
        label_map = tf.io.decode_png(found).numpy()[..., 0]
        same_labels(label_map, alone["segment"]["label_map"][0], alone["logits"]["logits"][0])
    classified = model("classify_bytes", image_bytes=np.array([png(image) for image in images], object))
    for image, found in zip(images, classified["probabilities"], strict=True):
        np.testing.assert_allclose(
            found, model("classify", images=image[None])["probabilities"][0], rtol=0, atol=1e-4
        )


@pytest.mark.parametrize(
    ("signature", "images", "passes"),
    [
        ("logits", IMAGES[:1], 1),
        ("logits", IMAGES[:AT_ONCE], 1),
        ("logits", IMAGES, 2),
        ("classify", IMAGES, 2),
        ("serving_default", IMAGES, 2),
        ("logits", IMAGES[:2].repeat(3, axis=1).repeat(4, axis=2), 2),
    ],
)
def test_images_of_one_size_go_through_the_network_together_as_far_as_memory_allows(
    model: SavedModel, signature: str, images: np.ndarray, passes: int
) -> None:
    assert convolutions(model, signature, images=images) == CONVOLUTIONS * passes


def convolutions(model: SavedModel, signature: str, **inputs: np.ndarray) -> int:
    run = model.nodes_run(signature, **inputs)
    return sum(count for op, count in run.items() if "Conv2D" in op)


def test_neighbours_of_one_size_are_encoded_images_that_go_together(model: SavedModel) -> None:
    files = [png(image) for image in (IMAGES[0], IMAGES[1], IMAGES[2][:100], IMAGES[3])]
    assert convolutions(model, "segment_bytes", image_bytes=np.array(files, object)) == 3 * CONVOLUTIONS
    assert convolutions(model, "classify_bytes", image_bytes=np.array(files, object)) == CONVOLUTIONS


def test_a_request_of_pixels_puts_no_words_together_and_runs_no_loop_over_its_images(
    model: SavedModel,
) -> None:
    """What a single image does not need costs a GPU more than the network."""
    run = model.nodes_run("logits", images=IMAGES[:1])
    assert not {op for op in run if "String" in op or "Assert" in op or "Parse" in op}
    assert run == model.nodes_run("logits", images=IMAGES[:AT_ONCE])
