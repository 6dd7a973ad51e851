"""FCN-32s, 16s and 8s against NumPy, and the demo's FCN-8s from its checkpoint to a label map.

The networks in NumPy have a sixteenth of VGG-16's channels; the pages and the layers are those that are exported.
"""

from __future__ import annotations

import numpy as np
import pytest

from export.errors import ExportError
from export.graph import GraphOptions
from export.layers import VariableLayers
from export.networks.fcn import FCN_8S, FCN_16S, FCN_32S
from export.networks.network import Network
from tests import numpy_reference as reference
from tests.narrow import Constants, narrow_weights

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
    expected = fcn(pixels, weights, network.name)
    assert ours.shape == (size[0] // network.stride, size[1] // network.stride, CLASSES)
    assert np.abs(ours - expected).max() <= 1e-5 * np.abs(expected).max()


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
        options.require(FCN_8S)
