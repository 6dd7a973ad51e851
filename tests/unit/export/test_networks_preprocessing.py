"""Crops for classification against slim's, in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from slimserve.export.errors import ExportError
from slimserve.export.graph.images.preprocessing import central_crop, pad_to_grid, prepare
from slimserve.export.networks import NETWORKS, Network
from slimserve.export.plan.options import GraphOptions

from tests.support import slim_preprocessing as reference

SIZES = ((1, 1), (7, 500), (256, 256), (300, 400), (342, 341), (601, 333))
# Preprocessing in slim's preprocessing_factory.py and default_image_size: which, and the side of the crop.
SLIMS = {
    "vgg_a": ("vgg", 224), "vgg_16": ("vgg", 224), "vgg_19": ("vgg", 224),
    "alexnet_v2": ("vgg", 224), "overfeat": ("vgg", 231),
    "resnet_v1_50": ("vgg", 224), "resnet_v1_101": ("vgg", 224), "resnet_v1_152": ("vgg", 224),
    "resnet_v1_200": ("vgg", 224), "resnet_v2_200": ("vgg", 224),
    "resnet_v2_50": ("vgg", 224), "resnet_v2_101": ("vgg", 224), "resnet_v2_152": ("vgg", 224),
    "inception_v1": ("inception", 224), "inception_v2": ("inception", 224), "inception_v3": ("inception", 299),
    "inception_v4": ("inception", 299), "inception_resnet_v2": ("inception", 299),
}  # fmt: skip
REFERENCE = {"vgg": reference.vgg_crop, "inception": reference.inception_crop}
SPREAD = {"vgg": 255.0, "inception": 2.0}
KINDS = {kind: name for name, kind in SLIMS.items()}


def image(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)


def slims_own(pixels: np.ndarray, side: int) -> np.ndarray:
    """The operations of slim's inception_preprocessing.py in today's TensorFlow."""
    net = tf.image.convert_image_dtype(pixels, tf.float32)
    net = tf.image.central_crop(net, 0.875)
    net = tf.compat.v1.image.resize_bilinear(net[None], [side, side], align_corners=False)[0]
    return ((net - 0.5) * 2.0).numpy()


def cropped(pixels: np.ndarray, network: Network) -> np.ndarray:
    return prepare(central_crop(tf.constant(pixels[None]), network), network)[0].numpy()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_crop_is_that_of_slim(kind: tuple[str, int], size: tuple[int, int]) -> None:
    style, side = kind
    crop = cropped(image(*size), NETWORKS[KINDS[kind]])
    expected = REFERENCE[style](image(*size), side)
    assert crop.shape == (side, side, 3)
    np.testing.assert_allclose(crop, expected, atol=1e-5 * SPREAD[style])


@pytest.mark.parametrize("size", SIZES)
def test_the_reference_is_what_slims_operations_give(size: tuple[int, int]) -> None:
    np.testing.assert_allclose(
        reference.inception_crop(image(*size), 299), slims_own(image(*size), 299), atol=2e-5
    )


@pytest.mark.parametrize("name", SLIMS)
def test_each_network_is_evaluated_as_in_slim(name: str) -> None:
    style, side = SLIMS[name]
    network = NETWORKS[name]
    assert network.crop == side
    assert (network.preprocessing.resize_side == 256) == (style == "vgg")
    assert (network.preprocessing.central_fraction == 0.875) == (style == "inception")


@pytest.mark.parametrize("name", SLIMS)
def test_the_untouched_side_is_cropped_without_resizing(name: str) -> None:
    network = NETWORKS[name]
    side = reference.untouched_side(network)
    pixels = image(side, side)
    margin = (side - network.crop) // 2
    centre = prepare(tf.constant(pixels[margin : side - margin, margin : side - margin]), network)
    np.testing.assert_array_equal(cropped(pixels, network), centre[: network.crop, : network.crop])


@pytest.mark.parametrize("name", ["vgg_16", "overfeat", "resnet_v2_50"])
def test_whole_images_are_padded_with_the_mean_colour(name: str) -> None:
    network, pixels = NETWORKS[name], image(70, 33)
    padded = pad_to_grid(prepare(tf.constant(pixels[None]), network), network)[0]
    np.testing.assert_allclose(padded, reference.padded(pixels, network), atol=1e-6)


@pytest.mark.parametrize("name", ["vgg_16", "overfeat", "resnet_v2_50"])
def test_pixels_are_padded_with_the_colour_nearest_to_the_mean(name: str) -> None:
    network, pixels = NETWORKS[name], image(70, 33)
    padded = pad_to_grid(tf.constant(pixels[None]), network)[0]
    preprocessing = network.preprocessing
    expected = reference.padded(pixels, network) * preprocessing.scale + preprocessing.mean_rgb
    assert padded.dtype == tf.uint8
    np.testing.assert_array_equal(padded, np.round(expected))


@pytest.mark.parametrize(
    ("name", "classes", "expected"),
    [
        ("vgg_16", 1000, ("vgg", 224)),
        ("inception_v3", 1001, ("inception", 299)),
        ("resnet_v2_50", 1001, ("inception", 299)),  # as its README says of the published checkpoints
    ],
)
def test_what_slim_says_is_no_guess(name: str, classes: int, expected: tuple[str, int]) -> None:
    network, warning = GraphOptions().evaluated(NETWORKS[name], classes)
    assert (network.preprocessing.name, network.crop) == expected
    assert warning is None


@pytest.mark.parametrize(("name", "crop"), [("resnet_v2_101", 224), ("alexnet_v2", 224), ("overfeat", 231)])
def test_a_guess_is_said_and_a_choice_is_none(name: str, crop: int) -> None:
    network, warning = GraphOptions().evaluated(NETWORKS[name], 5)
    assert (network.preprocessing.name, network.crop) == ("vgg", crop)
    assert warning
    assert f"vgg preprocessing, cropped to {crop}x{crop}: a guess" in warning
    chosen, warning = GraphOptions(preprocessing="inception", crop=299).evaluated(NETWORKS[name], 5)
    assert (chosen.preprocessing.name, chosen.crop, warning) == ("inception", 299, None)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("vgg_16", GraphOptions(crop=257), "--crop must be 256 or less, or --preprocessing inception"),
        ("vgg_16", GraphOptions(crop=223), "--crop must be that or more"),
        ("inception_v3", GraphOptions(crop=74), "needs 75 pixels a side"),
    ],
)
def test_crops_that_cannot_be_are_refused(name: str, options: GraphOptions, message: str) -> None:
    with pytest.raises(ExportError, match=message):
        options.evaluated(NETWORKS[name], 5)
