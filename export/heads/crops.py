"""Central crops, as slim evaluates a network: one answer an image."""

from __future__ import annotations

import tensorflow as tf

from ..images.preprocessing import central_crop
from ..images.source import ImageSource
from ..networks import Network
from ..networks.layers import Layers
from ..types import Tensor

_AT_ONCE = 8  # enough to fill a processor; each takes some 50 MB of feature maps


def crop_logits(crops: Tensor, network: Network, layers: Layers) -> Tensor:
    """Logits float32 [N, C] of prepared crops [N, side, side, 3]."""
    logits = network.logits(crops, layers, "VALID", network.stride)
    return tf.reduce_mean(tf.cast(logits, tf.float32), axis=[1, 2])


def central_crop_logits(source: ImageSource, network: Network, layers: Layers, classes: int) -> Tensor:
    """Logits [N, C] of the images' crops, a few in a batch: a request may hold thousands of tiny images."""
    side = network.crop

    def step(start: Tensor, logits: tf.TensorArray) -> tuple[Tensor, tf.TensorArray]:
        stop = tf.minimum(start + _AT_ONCE, source.count)
        (crops,) = source.map(
            lambda index: (central_crop(source.image(index), network),),
            tf.TensorSpec([side, side, 3]),
            start=start,
            stop=stop,
        )
        batch = tf.ensure_shape(crops.stack(), [None, side, side, 3])
        return stop, logits.scatter(tf.range(start, stop), crop_logits(batch, network, layers))

    logits = tf.TensorArray(tf.float32, source.count, infer_shape=False, element_shape=[classes])
    _, logits = tf.while_loop(
        lambda start, _: start < source.count, step, (tf.constant(0), logits), parallel_iterations=1
    )
    return logits.stack()
