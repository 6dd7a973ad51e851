"""Central crops, as slim evaluates a network: one answer an image."""

from __future__ import annotations

import tensorflow as tf

from ...networks import Network
from ...types import Tensor
from ..images.preprocessing import central_crop, prepare, to_pixels
from ..images.source import PIXELS_AT_ONCE, ImageSource
from ..kernels.portable import VariableLayers


def crop_logits(crops: Tensor, network: Network, layers: VariableLayers) -> Tensor:
    """Logits float32 [N, C] of crops, pixels float32 [N, side, side, 3]."""
    net = to_pixels(crops) if layers.takes_pixels else prepare(crops, network)
    logits = network.logits(net, layers, "VALID", network.stride)
    return tf.reduce_mean(tf.cast(logits, tf.float32), axis=[1, 2])


def central_crop_logits(
    source: ImageSource, network: Network, layers: VariableLayers, classes: int
) -> Tensor:
    """Logits [N, C] of the images' crops, a few in a batch: a request may hold thousands of tiny images."""
    side = network.crop
    at_once = max(PIXELS_AT_ONCE // side**2, 1)

    def of_batch(start: Tensor, stop: Tensor) -> Tensor:
        crops = source.batch(
            start, stop, tf.TensorSpec([side, side, 3]), lambda images: central_crop(images, network)
        )
        return crop_logits(crops, network, layers)

    return source.map_batches(lambda start: start + at_once, of_batch, tf.TensorSpec([classes])).stack()
