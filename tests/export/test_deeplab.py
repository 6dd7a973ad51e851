"""DeepLab against NumPy at both output strides, by the page and by whole exports.

Most networks here have an eighth of the published channels: how many there are is read off the variables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from slimserve.export.demo.constants import Constants
from slimserve.export.errors import ExportError
from slimserve.export.graph.kernels.portable import VariableLayers
from slimserve.export.graph.kernels.x86 import FusedLayers
from slimserve.export.networks import NETWORKS, Network
from slimserve.export.networks.rounding import tolerance
from slimserve.export.pipeline import Export, export_checkpoint
from slimserve.export.plan.options import GraphOptions, Request
from slimserve.export.verify.reference.slim_reference import build_in_slim
from slimserve.export.weights.recipes import load_variables
from tf_slim import get_model_variables

from tests.support.deeplab_checkpoints import (
    Weights,
    fine_tuned,
    narrowed,
    random_weights,
    with_all_parts,
)
from tests.support.numpy_deeplab import NumpyDeepLab, on_corners, padded
from tests.support.processor import NEEDS_BFLOAT16
from tests.support.saved_model import SavedModel
from tests.support.slim_exports import noise

CLASSES = 7
SMALL = ((40, 70), (1, 1))
KINDS = (VariableLayers, FusedLayers)
LARGE = ((513, 513), (500, 375), (97, 260))
QUICK = ("deeplab_mobilenet_v2", "deeplab_xception_65", "deeplab_resnet_v1_50_beta")
EVERY_PART = {"deeplab_mobilenet_v2, every part": "deeplab_mobilenet_v2"}
REST = sorted(name for name in NETWORKS if name.startswith("deeplab") and name not in QUICK)


def network_called(name: str) -> Network:
    return with_all_parts(EVERY_PART[name]) if name in EVERY_PART else NETWORKS[name]


def logits(
    network: Network, weights: Weights, image: np.ndarray, stride: int, kind: type[VariableLayers]
) -> np.ndarray:
    """Of the exporter's page, float32 [h, w, C]."""
    assert network.at
    pixels = padded(image).astype(np.float32)[None]
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        layers = kind(Constants(weights), "")
        found = session.run(network.at(stride).logits(tf.constant(pixels), layers, "SAME", stride))
    return np.asarray(found[0])


def close(found: np.ndarray, expected: np.ndarray, network: Network) -> bool:
    """Whether they are the same but for rounding in float32."""
    assert found.shape == expected.shape
    return bool(np.abs(found - expected).max() <= tolerance(network, "float32") * np.abs(expected).max())


@pytest.mark.parametrize("stride", [16, 8])
@pytest.mark.parametrize(
    "name", [*QUICK, *EVERY_PART, *(pytest.param(name, marks=pytest.mark.soak) for name in REST)]
)
def test_logits_are_those_of_numpy(name: str, stride: int) -> None:
    published = network_called(name)
    network, weights = narrowed(published, 8), random_weights(published, CLASSES, 8)
    for size in SMALL:
        image = noise(*size)
        expected = NumpyDeepLab(weights, stride)(padded(image))
        for kind in KINDS:
            assert close(logits(network, weights, image, stride, kind), expected, network), size


@pytest.mark.parametrize(
    "name", ["deeplab_resnet_v1_50_beta", pytest.param(QUICK[1], marks=pytest.mark.soak)]
)
def test_what_exports_are_compared_with_is_that_of_numpy(name: str) -> None:
    network, weights = narrowed(NETWORKS[name], 8), random_weights(NETWORKS[name], CLASSES, 8)
    image = padded(noise(*SMALL[0]))
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        reference = build_in_slim(network, tf.constant(image.astype(np.float32)[None]), CLASSES)
        load_variables({each.op.name: each for each in get_model_variables()}, weights.items(), session)
        (found,) = session.run(reference)
    assert close(found, NumpyDeepLab(weights, network.stride)(image), network)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("stride", [16, 8])
@pytest.mark.parametrize("size", LARGE)
@pytest.mark.parametrize("name", QUICK)
def test_logits_in_full_size_are_those_of_numpy(name: str, size: tuple[int, int], stride: int) -> None:
    network, image = NETWORKS[name], noise(*size)
    weights = random_weights(network, 21)
    expected = NumpyDeepLab(weights, stride)(padded(image))
    sides = [(side - 2) // network.spacing(stride) + 2 for side in padded(image).shape[:2]]
    assert expected.shape == (*sides, 21)
    for kind in KINDS:
        assert close(logits(network, weights, image, stride, kind), expected, network)


def by_half_pixels(resize: Any) -> Any:
    def changed(images: Any, size: Any, align_corners: bool) -> Any:
        return resize(images=images, size=size, align_corners=False, half_pixel_centers=True)

    return changed


@pytest.mark.parametrize(
    ("name", "change", "rates", "stride"),
    [
        ("deeplab_mobilenet_v2", "deeplab._RATES", (6, 12, 17), 16),
        ("deeplab_mobilenet_v2", "deeplab._RATES", (3, 6, 9), 8),
        ("deeplab_resnet_v1_50_beta", "resnet._BETA_MULTI_GRID", (1, 1, 1), 16),
    ],
)
def test_other_rates_are_found(
    name: str, change: str, rates: tuple[int, ...], stride: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = with_all_parts(name)
    weights, image = random_weights(published, CLASSES, 8), noise(300, 320)
    expected = NumpyDeepLab(weights, stride)(padded(image))
    network = narrowed(published, 8)
    assert close(logits(network, weights, image, stride, VariableLayers), expected, network)
    monkeypatch.setattr(f"slimserve.export.networks.pages.{change}", rates)
    assert not close(logits(network, weights, image, stride, VariableLayers), expected, network)


def test_another_interpolation_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    published = with_all_parts("deeplab_mobilenet_v2")
    weights, image = random_weights(published, CLASSES, 8), noise(65, 97)
    expected = NumpyDeepLab(weights, 16)(padded(image))
    network = narrowed(published, 8)
    monkeypatch.setattr(tf.raw_ops, "ResizeBilinear", by_half_pixels(tf.raw_ops.ResizeBilinear))
    assert not close(logits(network, weights, image, 16, VariableLayers), expected, network)


@pytest.mark.parametrize(
    ("precision", "kind"),
    [
        ("bfloat16", VariableLayers),
        pytest.param("bfloat16", FusedLayers, marks=NEEDS_BFLOAT16),
        ("float16", VariableLayers),
    ],
)
def test_lower_precisions_are_near(precision: str, kind: type[VariableLayers]) -> None:
    published = with_all_parts("deeplab_mobilenet_v2")
    network, weights, image = narrowed(published, 8), random_weights(published, CLASSES, 8), noise(65, 97)
    expected = NumpyDeepLab(weights, 16)(padded(image))
    found = logits(
        network,
        weights,
        image,
        16,
        lambda constants, scope: kind(constants, scope, tf.as_dtype(precision)),  # type: ignore[arg-type]
    )
    error = np.abs(found.astype(np.float64) - expected).max() / np.abs(expected).max()
    assert error <= tolerance(network, precision)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint fine-tuned on five classes by slim's loop, of 21, with what training leaves beside it."""
    published = NETWORKS["deeplab_mobilenet_v2"]
    weights = random_weights(published, 21, 8)
    return fine_tuned(narrowed(published, 8), weights, 5, tmp_path_factory.mktemp("deeplab") / "train")


@pytest.fixture(scope="module")
def exported(tuned: Path) -> Export:
    options = GraphOptions(crop=65, output_stride=8)
    return export_checkpoint(Request(tuned.parent, tuned.parent.parent / "deeplab", graph=options))


@pytest.fixture(scope="module")
def model(exported: Export) -> Iterator[SavedModel]:
    with SavedModel(exported.path) as model:
        yield model


@pytest.fixture(scope="module")
def of_training(tuned: Path) -> Callable[[np.ndarray], np.ndarray]:
    """The logits of an image, in NumPy."""
    reader = tf.train.load_checkpoint(str(tuned))
    names = [name for name in reader.get_variable_to_shape_map() if not name.endswith("Momentum")]
    run = NumpyDeepLab({name: reader.get_tensor(name) for name in names}, 8)
    return lambda image: run(padded(image))


def test_a_checkpoint_of_slims_loop_is_exported_with_its_classes(exported: Export) -> None:
    assert (exported.record["network"], exported.record["classes"]) == ("deeplab_mobilenet_v2", 5)
    assert exported.record["label_maps"] == "a cell every 8 pixels"
    assert exported.parity.difference <= exported.parity.tolerance


def test_its_cells_are_those_of_numpy(
    exported: Export, model: SavedModel, of_training: Callable[[np.ndarray], np.ndarray]
) -> None:
    for size in ((40, 70), (33, 49)):
        image = noise(*size)
        found = model("logits", images=image[None])["logits"][0]
        assert close(found, of_training(image), narrowed(NETWORKS["deeplab_mobilenet_v2"], 8))


def test_its_label_maps_are_interpolated_between_aligned_corners(
    model: SavedModel, of_training: Callable[[np.ndarray], np.ndarray]
) -> None:
    """As DeepLab's own evaluation resizes the logits of a padded image, and cuts the padding off."""
    image = noise(40, 70)
    label_map = model("segment", images=image[None])["label_map"][0]
    scores = on_corners(of_training(image), 49, 81)[:40, :70]
    second, first = np.moveaxis(np.sort(scores)[..., -2:], -1, 0)
    clear = first - second > 1e-4 * np.abs(scores).max()
    assert clear.mean() > 0.9
    assert len(np.unique(label_map)) > 1
    np.testing.assert_array_equal(label_map[clear], scores.argmax(-1)[clear])


def test_8_bits_are_refused_in_one_sentence(tuned: Path, tmp_path: Path) -> None:
    for index in range(5):
        tf.io.write_file(str(tmp_path / f"{index}.png"), tf.io.encode_png(noise(40, 40, index)))
    options = GraphOptions(precision="int8", target="x86")
    with pytest.raises(ExportError, match=r"project without ReLU: choose --precision bfloat16"):
        export_checkpoint(Request(tuned, tmp_path / "out", calibrate=tmp_path, graph=options))
