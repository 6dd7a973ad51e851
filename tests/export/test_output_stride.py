"""Output strides of 16 and 8 against shift-and-stitch: the network as it is, on shifted images, in NumPy.

The convolutions have a sixteenth of VGG-16's channels, the page and the layers are those that are exported. In full
size the documentation's export with this option is run behind `make soak`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from slimserve.export.demo.constants import Constants
from slimserve.export.demo.scenes import CLASS_NAMES
from slimserve.export.graph.heads.label_map import aligned_places, bilinear_label_map, nearest_label_map
from slimserve.export.graph.kernels.int8 import QuantizedLayers
from slimserve.export.graph.kernels.portable import VariableLayers
from slimserve.export.graph.kernels.x86 import FusedLayers
from slimserve.export.networks.pages.vgg import VGG_16
from slimserve.export.plan.options import GraphOptions
from slimserve.export.verify.calibration import RecordingLayers, statistics

from benchmarks.quality.procedures import PROCEDURES, Segmenter
from tests.support import numpy_reference as reference
from tests.support.narrow import export_narrow, narrow_weights
from tests.support.processor import TOLD_TO_DO_WITHOUT
from tests.support.saved_model import SavedModel

CLASSES = 5
# One logits cell sees 404 pixels: its 224 pixels window and 90 more on each side, through the 3x3 convolutions.
BESIDE_WINDOW = 90

# TensorFlow asks the processor, and hands oneDNN convolutions that this setting forbids it; no processor is like that.
NOT_WHERE_TENSORFLOW_KNOWS_BETTER = pytest.mark.skipif(
    TOLD_TO_DO_WITHOUT, reason="ONEDNN_MAX_CPU_ISA hides from oneDNN what TensorFlow sees"
)

WEIGHTS = narrow_weights(VGG_16, CLASSES)


def logits(pixels: np.ndarray, padding: str, output_stride: int) -> np.ndarray:
    layers = VariableLayers(Constants(WEIGHTS), VGG_16.scope)
    return VGG_16.logits(pixels[None], layers, padding, output_stride)[0].numpy()


def image(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(4).normal(0, 60, (height, width, 3)).astype(np.float32)


def float64_logits(pixels: np.ndarray, fc6_padding: int) -> np.ndarray:
    return reference.vgg_16(pixels.astype(np.float64), WEIGHTS, fc6_padding)


def assert_close(ours: np.ndarray, expected: np.ndarray) -> None:
    """Whether they are the same up to what two computations of the network in float32 may differ by."""
    assert ours.shape == expected.shape
    assert np.abs(ours - expected).max() <= 2 * reference.network_rounding(WEIGHTS) * np.abs(expected).max()


@pytest.mark.parametrize("output_stride", [16, 8])
@pytest.mark.parametrize("size", [(224, 224), (256, 288), (239, 331), (263, 318)])
def test_valid_cells_at_multiples_of_32_pixels_are_those_of_the_network(
    size: tuple[int, int], output_stride: int
) -> None:
    step = 32 // output_stride
    expected = float64_logits(image(*size), fc6_padding=0)
    ours = logits(image(*size), "VALID", output_stride)
    assert ours.shape[:2] == tuple((side - 224) // output_stride + 1 for side in size)
    assert_close(ours[::step, ::step][: len(expected), : expected.shape[1]], expected)


@pytest.mark.parametrize("output_stride", [16, 8])
@pytest.mark.parametrize("size", [(32, 32), (64, 160), (256, 224)])
def test_aligned_cells_at_multiples_of_32_pixels_are_those_of_the_network(
    size: tuple[int, int], output_stride: int
) -> None:
    step = 32 // output_stride
    expected = float64_logits(image(*size), fc6_padding=3)
    ours = logits(image(*size), "SAME", output_stride)
    assert_close(ours[::step, ::step], expected)
    assert ours.shape[:2] == tuple((cells - 1) * step + 1 for cells in expected.shape[:2])


@pytest.mark.parametrize(
    ("output_stride", "shifts"),
    [
        (16, [(0, 1), (1, 0)]),
        (8, [(0, 1), (1, 3), (2, 0), (3, 2)]),
        pytest.param(16, [*np.ndindex(2, 2)], marks=pytest.mark.soak),
        pytest.param(8, [*np.ndindex(4, 4)], marks=pytest.mark.soak),
    ],
)
def test_cells_in_between_are_those_of_shifted_images(
    output_stride: int, shifts: list[tuple[int, int]]
) -> None:
    """Shift-and-stitch (Long et al., arXiv:1411.4038, section 3.2), where no border is in sight."""
    pixels = image(480, 480)
    step = 32 // output_stride
    ours = logits(pixels, "VALID", output_stride)
    first = -(-(BESIDE_WINDOW + 32 - output_stride) // output_stride)
    last = (480 - 224 - BESIDE_WINDOW) // output_stride
    assert last - first >= step - 1
    for down, right in shifts:
        expected = float64_logits(pixels[down * output_stride :, right * output_stride :], fc6_padding=0)
        rows, columns = (
            [cell for cell in range(first, last + 1) if cell % step == shift] for shift in (down, right)
        )
        assert_close(
            ours[np.ix_(rows, columns)],
            expected[np.ix_([cell // step for cell in rows], [cell // step for cell in columns])],
        )


def between(cells: np.ndarray, factor: int) -> np.ndarray:
    """Cells [h, w, C] interpolated bilinearly, `factor` times as close together."""
    for axis in (0, 1):
        places = np.arange((cells.shape[axis] - 1) * factor + 1) / factor
        cells = np.apply_along_axis(lambda line: np.interp(places, np.arange(len(line)), line), axis, cells)  # noqa: B023
    return cells


@pytest.mark.parametrize("output_stride", [32, 16, 8])
@pytest.mark.parametrize("size", [(32, 32), (64, 288), (192, 224), (224, 224), (256, 320)])
def test_aligned_cells_are_the_valid_ones_and_interpolated_where_the_border_cuts_a_window(
    size: tuple[int, int], output_stride: int
) -> None:
    pixels, step = image(*size), 32 // output_stride
    expected = between(float64_logits(pixels, fc6_padding=3), step)
    if min(size) >= 224:
        margin = 3 * step
        expected[margin:-margin, margin:-margin] = logits(pixels, "VALID", output_stride)
    assert_close(logits(pixels, "SAME", output_stride), expected)


def answers(kind: str, pixels: np.ndarray) -> list[np.ndarray]:
    """Aligned logits at output strides of 32 and 8 in layers of this kind."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        recording = RecordingLayers(Constants(WEIGHTS), VGG_16.scope)
        images = tf.constant(pixels[None])
        VGG_16.logits(images, recording, "SAME", 8)
        counted = {
            scope: statistics(recorded, 100) for scope, recorded in session.run(recording.recorded).items()
        }
        layers = {
            "bfloat16": VariableLayers(Constants(WEIGHTS), VGG_16.scope, tf.bfloat16),
            "x86": FusedLayers(Constants(WEIGHTS), VGG_16.scope),
            "int8": QuantizedLayers(Constants(WEIGHTS), VGG_16, counted),
        }[kind]
        logits = [VGG_16.logits(images, layers, "SAME", output_stride) for output_stride in (32, 8)]
        return [answer[0] for answer in session.run([tf.cast(answer, tf.float32) for answer in logits])]


@pytest.mark.parametrize(
    ("kind", "rounding"),
    [
        pytest.param("bfloat16", 0.05, marks=NOT_WHERE_TENSORFLOW_KNOWS_BETTER),
        ("x86", 2 * reference.network_rounding(WEIGHTS)),
        ("int8", 0.1),
    ],
)
@pytest.mark.parametrize("size", [(96, 64), pytest.param((256, 288), marks=pytest.mark.soak)])
def test_layers_of_every_kind_refine_their_own_cells(
    size: tuple[int, int], kind: str, rounding: float
) -> None:
    pixels = np.round(image(*size))
    own, finer = answers(kind, pixels)
    expected = logits(pixels, "SAME", 8)
    assert np.abs(finer[::4, ::4] - own).max() <= min(rounding, 0.01) * np.abs(own).max()
    assert finer.shape == expected.shape
    assert np.linalg.norm(finer - expected) <= rounding * np.linalg.norm(expected)


def dense_label_map(scores: np.ndarray, size: tuple[int, int], spacing: int, centre: int) -> np.ndarray:
    """Argmax of scores interpolated between cell centres, the first and the last cell going on beyond theirs."""
    for axis, side in enumerate(size):
        centres = centre + spacing * np.arange(scores.shape[axis])
        pixels = np.arange(side) + 0.5
        scores = np.apply_along_axis(lambda line: np.interp(pixels, centres, line), axis, scores)  # noqa: B023
    return scores.argmax(-1)


@pytest.mark.parametrize("spacing", [32, 16, 8])
@pytest.mark.parametrize("size", [(1, 1), (64, 90), (131, 97)])
def test_bilinear_label_map_lies_on_the_centres_of_the_cells(size: tuple[int, int], spacing: int) -> None:
    cells = [(-(-side // 32) - 1) * 32 // spacing + 1 for side in size]
    scores = np.random.default_rng(5).normal(0, 1, (*cells, 7)).astype(np.float32)
    ours = bilinear_label_map(tf.constant(scores), aligned_places(tf.constant(size), spacing, 16))
    np.testing.assert_array_equal(ours, dense_label_map(scores, size, spacing, 16))


@pytest.mark.parametrize("spacing", [32, 16, 8])
def test_nearest_label_map_takes_the_cell_with_the_nearest_centre(spacing: int) -> None:
    cells = 3 * 32 // spacing + 1
    scores = np.random.default_rng(6).normal(0, 1, (cells, cells, 7)).astype(np.float32)
    ours = nearest_label_map(tf.constant(scores), aligned_places(tf.constant((128, 117)), spacing, 16))
    distances = np.abs(np.arange(128)[:, None] + 0.5 - (16 + spacing * np.arange(cells)))
    nearest = distances.argmin(1)
    np.testing.assert_array_equal(ours, scores.argmax(-1)[nearest][:, nearest[:117]])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The version folder of the narrow network, exported with an output stride of 8."""
    return export_narrow(tmp_path_factory.mktemp("stride_8"), GraphOptions(output_stride=8))


@pytest.fixture(scope="module")
def model(folder: Path) -> Iterator[SavedModel]:
    with SavedModel(folder) as model:
        yield model


def picture(height: int, width: int) -> np.ndarray:
    blobs = np.random.default_rng(7).integers(0, 256, (height // 40 + 1, width // 40 + 1, 3))
    return blobs.repeat(40, 0).repeat(40, 1)[:height, :width].astype(np.uint8)


def test_export_agrees_with_its_page_and_says_its_output_stride(folder: Path) -> None:
    record = json.loads((folder / "assets.extra" / "export.json").read_text())
    assert record["options"]["output_stride"] == 8
    assert record["parity"]["difference"] <= record["parity"]["tolerance"]


@pytest.mark.parametrize("size", [(1, 1), (70, 130)])
def test_exported_cells_in_between_refine_those_of_the_default(
    model: SavedModel, narrow: SavedModel, size: tuple[int, int]
) -> None:
    images = picture(*size)[None]
    coarse, fine = (each("logits", images=images)["logits"] for each in (narrow, model))
    assert_close(fine[:, ::4, ::4], coarse)


def test_exported_label_map_lies_on_the_centres_of_cells_averaged_with_their_neighbours(
    model: SavedModel,
) -> None:
    images = picture(70, 130)[None]
    scores = model("logits", images=images)["logits"][0]
    label_map = model("segment", images=images)["label_map"][0]
    for axis in (0, 1):
        line = np.pad(scores, [(int(axis == side),) * 2 for side in range(3)], mode="edge").swapaxes(0, axis)
        scores = (0.25 * line[:-2] + 0.5 * line[1:-1] + 0.25 * line[2:]).swapaxes(0, axis)
    # The reference is in float64: equal but for scores that differ by less than float32 can tell.
    assert (label_map == dense_label_map(scores, (70, 130), 8, 16)).mean() > 0.999


def test_exported_dense_scores_average_the_cells_whose_window_lies_inside(model: SavedModel) -> None:
    images = picture(225, 250)[None]
    scores = model("logits", images=images)["logits"][0]
    assert scores.shape[:2] == (29, 29)
    inside = scores[12:-12, 12:-12]
    probabilities = reference.softmax(inside.mean(axis=(0, 1), dtype=np.float64))
    answer = model("serving_default", images=images)["scores"][0]
    rounding = reference.mean_rounding(inside)
    np.testing.assert_allclose(answer, np.sort(probabilities)[::-1][:5], rtol=rounding)


def test_classification_of_crops_does_not_depend_on_the_output_stride(
    model: SavedModel, narrow: SavedModel
) -> None:
    images = picture(100, 150)[None]
    np.testing.assert_allclose(
        model("classify", images=images)["probabilities"],
        narrow("classify", images=images)["probabilities"],
        atol=1e-6,
    )


def test_quality_benchmark_measures_what_is_exported(model: SavedModel, narrow: SavedModel) -> None:
    image = picture(70, 130)
    chosen = [procedure for procedure in PROCEDURES if procedure.short in ("bilinear", "stride 8")]
    weights = narrow_weights(VGG_16, len(CLASS_NAMES))
    found = Segmenter([weights], chosen).label_maps(image).values()
    for label_map, exported in zip(found, (narrow, model), strict=True):
        assert (label_map == exported("segment", images=image[None])["label_map"][0]).mean() > 0.999
