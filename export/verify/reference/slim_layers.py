"""Layers of tf-slim itself, normalization unfolded: what networks that `tf_slim.nets` lacks are compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf
import tf_slim

from ...graph.kernels.padding import with_fixed_padding
from ...graph.kernels.portable import FinerCells
from ...networks.layers import Convolution
from ...types import Padding, Tensor
from ...weights.folding import BatchNorm, Matrix, Separable

# Where updates of the statistics are to be collected, which matters in training only, tf-slim 1.1 takes a layer of
# Keras 2 that TensorFlow no longer finds.
NO_UPDATES: Mapping[str, Any] = {"updates_collections": None}


class SlimLayers(FinerCells):
    """`Layers` that makes tf-slim's model variables in the current variable scope."""

    def __init__(self, classes: int) -> None:
        """Build the last layer with `classes` channels."""
        self._classes = classes

    def conv(self, net: Tensor, convolution: Convolution) -> Tensor:
        net, convolution = with_fixed_padding(net, convolution)
        if convolution.norm and convolution.norm_scope:
            bare = replace(convolution, norm=None, biases=False, relu=False)
            return self.batch_norm(
                self.conv(net, bare), convolution.norm_scope, convolution.norm, relu=convolution.relu
            )
        channels = convolution.channels or self._classes
        options: dict[str, Any] = {
            "scope": convolution.scope,
            "activation_fn": {None: None, "Relu": tf.nn.relu, "Relu6": tf.nn.relu6}[convolution.activation],
        }
        if convolution.norm:
            options |= {
                "normalizer_fn": tf_slim.batch_norm,
                "normalizer_params": _normalizer(convolution.norm),
            }
        elif not convolution.biases:
            options["biases_initializer"] = None
        if isinstance(convolution.stored, Matrix):
            flat = tf_slim.fully_connected(tf_slim.flatten(net), channels, **options)
            return flat[:, None, None]
        options |= {
            "stride": convolution.stride,
            "rate": convolution.rate,
            "padding": convolution.padding,
        }
        if convolution.depthwise:
            return tf_slim.separable_conv2d(net, None, convolution.sides, 1, **options)
        if isinstance(convolution.stored, Separable):
            multiplier = convolution.stored.multiplier
            return tf_slim.separable_conv2d(net, channels, convolution.sides, multiplier, **options)
        return tf_slim.conv2d(net, channels, convolution.sides, **options)

    def batch_norm(self, net: Tensor, scope: str, norm: BatchNorm, *, relu: bool = True) -> Tensor:
        activation = tf.nn.relu if relu else None
        return tf_slim.batch_norm(net, activation_fn=activation, scope=scope, **_normalizer(norm))

    def max_pool(
        self, net: Tensor, kernel: int = 2, *, stride: int = 2, rate: int = 1, padding: Padding = "VALID"
    ) -> Tensor:
        # tf.nn.pool refuses strides that are wider than the window, as a ResNet has them.
        if rate == 1:
            return tf_slim.max_pool2d(net, kernel, stride=stride, padding=padding)
        return tf.nn.pool(
            net, [kernel] * 2, "MAX", strides=[stride] * 2, dilations=[rate] * 2, padding=padding
        )

    def in_strips(self, net: Tensor, blocks: Callable[[Tensor], Tensor], stride: int, margin: int) -> Tensor:
        return blocks(net)

    def avg_pool(self, net: Tensor, kernel: int, *, stride: int = 1) -> Tensor:
        return tf_slim.avg_pool2d(net, kernel, stride=stride, padding="SAME")

    def shift(self, net: Tensor) -> Tensor:
        return tf.pad(net, [[0, 0], [0, 1], [0, 1], [0, 0]])[:, 1:, 1:]

    def global_pool(self, net: Tensor) -> Tensor:
        return tf.reduce_mean(net, [1, 2], keepdims=True)

    def relu(self, net: Tensor) -> Tensor:
        return tf.nn.relu(net)

    def resize(self, net: Tensor, like: Tensor) -> Tensor:
        return tf.compat.v1.image.resize_bilinear(net, tf.shape(like)[1:3], align_corners=True)

    def concat(self, nets: Sequence[Tensor]) -> Tensor:
        return tf.concat(list(nets), 3)

    def upsample(self, net: Tensor) -> Tensor:
        line = np.array([0.25, 0.75, 0.75, 0.25])
        weights = np.einsum("h,w,io->hwio", line, line, np.eye(self._classes)).astype(np.float32)
        shape = tf.shape(net) * [1, 2, 2, 1]
        return tf.nn.conv2d_transpose(net, weights, shape, strides=2, padding="SAME")

    def add(self, net: Tensor, residual: Tensor, *, scale: float = 1.0, relu: bool = False) -> Tensor:
        net += scale * residual
        return tf.nn.relu(net) if relu else net


def _normalizer(norm: BatchNorm) -> dict[str, Any]:
    return {"epsilon": norm.epsilon, "scale": norm.scaled, "is_training": False, **NO_UPDATES}
