"""Crops for classification against slim's, in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from slimserve.export.images.preprocessing import central_crop, pad_to_grid, prepare
from slimserve.export.networks import NETWORKS

from tests.support import slim_preprocessing as reference

SIZES = ((1, 1), (7, 500), (256, 256), (300, 400), (342, 341), (601, 333))
# Preprocessing in slim's preprocessing_factory.py and README: which, and the side of the crop.
PUBLISHED = {
    "vgg_a": ("vgg", 224), "vgg_16": ("vgg", 224), "vgg_19": ("vgg", 224),
    "alexnet_v2": ("vgg", 224), "overfeat": ("vgg", 231),
    "resnet_v1_50": ("vgg", 224), "resnet_v1_101": ("vgg", 224), "resnet_v1_152": ("vgg", 224),
    "resnet_v2_50": ("inception", 299), "resnet_v2_101": ("inception", 299), "resnet_v2_152": ("inception", 299),
    "inception_v1": ("inception", 224), "inception_v2": ("inception", 224), "inception_v3": ("inception", 299),
    "inception_v4": ("inception", 299), "inception_resnet_v2": ("inception", 299),
}  # fmt: skip
REFERENCE = {"vgg": reference.vgg_crop, "inception": reference.inception_crop}
SPREAD = {"vgg": 255.0, "inception": 2.0}
KINDS = {kind: name for name, kind in PUBLISHED.items()}


def image(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)


def slims_own(pixels: np.ndarray, side: int) -> np.ndarray:
    """The operations of slim's inception_preprocessing.py in today's TensorFlow."""
    net = tf.image.convert_image_dtype(pixels, tf.float32)
    net = tf.image.central_crop(net, 0.875)
    net = tf.compat.v1.image.resize_bilinear(net[None], [side, side], align_corners=False)[0]
    return ((net - 0.5) * 2.0).numpy()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_crop_is_that_of_slim(kind: tuple[str, int], size: tuple[int, int]) -> None:
    style, side = kind
    crop = central_crop(tf.constant(image(*size)), NETWORKS[KINDS[kind]]).numpy()
    expected = REFERENCE[style](image(*size), side)
    assert crop.shape == (side, side, 3)
    np.testing.assert_allclose(crop, expected, atol=1e-5 * SPREAD[style])


@pytest.mark.parametrize("size", SIZES)
def test_the_reference_is_what_slims_operations_give(size: tuple[int, int]) -> None:
    np.testing.assert_allclose(
        reference.inception_crop(image(*size), 299), slims_own(image(*size), 299), atol=2e-5
    )


@pytest.mark.parametrize("name", PUBLISHED)
def test_each_network_is_evaluated_as_in_slim(name: str) -> None:
    style, side = PUBLISHED[name]
    network = NETWORKS[name]
    assert network.crop == side
    assert (network.preprocessing.resize_side == 256) == (style == "vgg")
    assert (network.preprocessing.central_fraction == 0.875) == (style == "inception")


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_untouched_side_is_cropped_without_resizing(name: str) -> None:
    network = NETWORKS[name]
    side = network.preprocessing.untouched_side(network.crop)
    pixels = image(side, side)
    margin = (side - network.crop) // 2
    centre = prepare(tf.constant(pixels[margin : side - margin, margin : side - margin]), network)
    np.testing.assert_array_equal(
        central_crop(tf.constant(pixels), network), centre[: network.crop, : network.crop]
    )


@pytest.mark.parametrize("name", ["vgg_16", "overfeat", "resnet_v2_50"])
def test_whole_images_are_padded_with_the_mean_colour(name: str) -> None:
    network, pixels = NETWORKS[name], image(70, 33)
    padded = pad_to_grid(prepare(tf.constant(pixels), network), network)
    np.testing.assert_allclose(padded, reference.padded(pixels, network), atol=1e-6)
