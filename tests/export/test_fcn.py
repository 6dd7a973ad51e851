"""FCN-32s, 16s and 8s against NumPy, and the demo's FCN-8s from its checkpoint to a label map.

The networks in NumPy have a sixteenth of VGG-16's channels; the pages and the layers are those that are exported.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
from slimserve.cli.verbs.evaluate.scores import boundary_f_score
from slimserve.export.demo import skips
from slimserve.export.demo.checkpoint_writer import write_checkpoint
from slimserve.export.demo.constants import Constants
from slimserve.export.demo.scenes import CLASS_NAMES, compose
from slimserve.export.errors import ExportError
from slimserve.export.graph.kernels.portable import VariableLayers
from slimserve.export.networks import Network
from slimserve.export.networks.pages.fcn import FCN_8S, FCN_16S, FCN_32S
from slimserve.export.plan.options import GraphOptions

from benchmarks.quality.procedures import PROCEDURES, Segmenter
from tests.export.conftest import export_here
from tests.support import numpy_reference as reference
from tests.support.narrow import export_narrow, narrow_weights
from tests.support.saved_model import SavedModel

CLASSES = 5


def doubled(scores: np.ndarray) -> np.ndarray:
    """Every position spread over 4x4 with the bilinear filter, 2 apart: a transposed convolution, cut at the border."""
    height, width, _ = scores.shape
    line = np.array([0.25, 0.75, 0.75, 0.25])
    whole = np.zeros((2 * height + 2, 2 * width + 2, scores.shape[2]))
    for i in range(height):
        for j in range(width):
            whole[2 * i : 2 * i + 4, 2 * j : 2 * j + 4] += np.outer(line, line)[..., None] * scores[i, j]
    return whole[1:-1, 1:-1]


def fcn(pixels: np.ndarray, weights: dict[str, np.ndarray], network: str) -> np.ndarray:
    """Scores of the network that the paper describes."""
    vgg = {name.removeprefix(f"{network}/"): value for name, value in weights.items()}
    pools = reference.vgg_16_pools(pixels, vgg)
    scores = reference.vgg_16(pixels, vgg, fc6_padding=3)
    for block in {"fcn_32s": (), "fcn_16s": (4,), "fcn_8s": (4, 3)}[network]:
        weights_of_skip, biases = (vgg[f"pool{block}_fc/{kind}"] for kind in ("weights", "biases"))
        scores = doubled(scores) + reference.convolve(pools[block - 1], weights_of_skip, biases, 0)
    return scores


@pytest.mark.parametrize("network", [FCN_32S, FCN_16S, FCN_8S], ids=lambda network: network.name)
@pytest.mark.parametrize("size", [(32, 32), (96, 160)])
def test_scores_are_those_of_numpy(network: Network, size: tuple[int, int]) -> None:
    weights = narrow_weights(network, CLASSES)
    pixels = np.random.default_rng(4).normal(0, 60, (*size, 3)).astype(np.float32)
    layers = VariableLayers(Constants(weights), network.scope)
    ours = network.logits(pixels[None], layers, "SAME", network.stride)[0].numpy()
    expected = fcn(pixels.astype(np.float64), weights, network.name)
    assert ours.shape == (size[0] // network.stride, size[1] // network.stride, CLASSES)
    assert np.abs(ours - expected).max() <= reference.network_rounding(weights) * np.abs(expected).max()


@pytest.mark.parametrize(("network", "blocks"), [(FCN_16S, [4]), (FCN_8S, [4, 3])])
def test_variables_are_named_as_tf_image_segmentation_names_them(network: Network, blocks: list[int]) -> None:
    shapes = network.expected_variables()
    skips = {
        f"{network.name}/pool{block}_fc/weights": (1, 1, {4: 512, 3: 256}[block], None) for block in blocks
    }
    assert {name: shape for name, shape in shapes.items() if "_fc/weights" in name} == skips
    assert shapes[f"{network.name}/vgg_16/conv1/conv1_1/weights"] == (3, 3, 3, 64)
    assert shapes[f"{network.name}/vgg_16/fc8/weights"] == (1, 1, 4096, None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (GraphOptions(output_stride=32), "--output-stride must be 8"),
        (GraphOptions(output_stride=8, geometry="valid"), "--geometry must be aligned"),
    ],
)
def test_options_that_the_network_lacks_are_refused(options: GraphOptions, message: str) -> None:
    with pytest.raises(ExportError, match=message):
        options.of(FCN_8S)


@pytest.fixture(scope="module")
def tensors(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """FCN-8s on the demo's VGG-16, its score layers fitted to few scenes."""
    with mock.patch.multiple(skips, SCENES=8, BATCH=8):
        return skips.with_skips(weights, FCN_8S, 0, lambda step, done: None)


def in_full_size(tensors: dict[str, np.ndarray], base: Path) -> Path:
    """Export them; return the version folder."""
    write_checkpoint(base / "fcn_8s.ckpt", tensors, "V2")
    export_here("--ckpt", base / "fcn_8s.ckpt", "--net", "fcn_8s", "--out", base / "fcn_8s")
    return base / "fcn_8s" / "1"


@pytest.fixture(scope="module", params=["narrow", pytest.param("full size", marks=pytest.mark.soak)])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The version folder of an exported FCN-8s."""
    base = tmp_path_factory.mktemp("fcn")
    if request.param == "narrow":
        return export_narrow(base, GraphOptions(), FCN_8S)
    return in_full_size(request.getfixturevalue("tensors"), base)


@pytest.fixture(scope="module")
def model(folder: Path) -> Iterator[SavedModel]:
    with SavedModel(folder) as model:
        yield model


def test_demo_network_has_the_variables_of_its_page(tensors: dict[str, np.ndarray]) -> None:
    classes = len(CLASS_NAMES)
    expected = {
        name: tuple(classes if size is None else size for size in shape)
        for name, shape in FCN_8S.expected_variables().items()
    }
    shapes = {name: value.shape for name, value in tensors.items() if name in expected}
    assert shapes == expected
    assert all(value.dtype == np.float32 for name, value in tensors.items() if name in expected)


def test_exported_logits_agree_with_the_page_on_slim_layers(folder: Path) -> None:
    record = json.loads((folder / "assets.extra" / "export.json").read_text())
    assert record["options"]["output_stride"] == 8
    assert record["parity"]["difference"] <= record["parity"]["tolerance"]


def test_exported_label_map_is_the_argmax_of_an_eightfold_deconvolution(model: SavedModel) -> None:
    """The paper's last layer: a transposed convolution with the bilinear filter of 16x16."""
    image, _ = compose(np.random.default_rng(8), 96, 160, 4)
    scores = model("logits", images=image[None])["logits"]
    line = 1 - np.abs(np.arange(16) - 7.5) / 8
    weights = np.einsum("h,w,io->hwio", line, line, np.eye(scores.shape[-1])).astype(np.float32)
    whole = tf.nn.conv2d_transpose(scores, weights, [1, 96, 160, scores.shape[-1]], 8, "SAME")
    label_map = model("segment", images=image[None])["label_map"]
    assert (label_map == np.argmax(whole, axis=-1)).mean() > 0.9999


@pytest.mark.soak
def test_borders_lie_better_than_those_of_the_network_without_skips(
    weights: dict[str, np.ndarray], tensors: dict[str, np.ndarray]
) -> None:
    procedures = [each for each in PROCEDURES if each.short in ("bilinear", "FCN-8s")]
    segmenter = Segmenter([weights, tensors], procedures)
    scores = []
    for seed in range(3):
        image, truth = compose(np.random.default_rng([9, seed]), 250, 300, 4)
        label_maps = segmenter.label_maps(image).values()
        scores.append([boundary_f_score(truth, label_map) for label_map in label_maps])
    without, ours = np.mean(scores, axis=0)
    assert ours > without + 0.1
