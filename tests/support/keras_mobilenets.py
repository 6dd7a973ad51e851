"""Keras' MobileNets under the variable names of slim's: implementations that share no code with the exporter.

Where Keras pads at a stride, version 1 always puts the zeros behind, which is what slim's "SAME" does on even sides
alone: version 1 is a reference on sides that are multiples of 32, version 2 on any.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

Array = np.ndarray
_MADE_BY = {"mobilenet_v1": "MobileNet", "mobilenet_v2": "MobileNetV2"}
_SCOPES = {"mobilenet_v1": "MobilenetV1", "mobilenet_v2": "MobilenetV2"}
_RENAMED = (
    (r"_bn$|_BN$|^bn_", ""),
    (r"^conv1$", "Conv2d_0"),
    (r"^conv_dw_(\d+)$", r"Conv2d_\1_depthwise"),
    (r"^conv_pw_(\d+)$", r"Conv2d_\1_pointwise"),
    (r"^conv_preds$|^predictions$", "Logits/Conv2d_1c_1x1"),
    (r"^Conv1$", "Conv"),
    (r"^block_(\d+)_", r"expanded_conv_\1/"),
    (r"^expanded_conv_(depthwise|project)$", r"expanded_conv/\1"),
)


class KerasMobileNet:
    """`keras.applications` MobileNet or MobileNetV2 of a width, for images of one size.

    Attributes:
        shapes: of the variables, by slim's names, as slim stores them.
    """

    def __init__(self, name: str, width: float, size: tuple[int, int], classes: int) -> None:
        tf.keras.backend.clear_session()
        make = getattr(tf.keras.applications, _MADE_BY[name])
        self._model = make(
            weights=None, input_shape=(*size, 3), alpha=width, classes=classes, classifier_activation=None
        )
        self._layers = {
            layer.name: (layer, _names(name, layer)) for layer in self._model.layers if layer.weights
        }
        self.shapes = {
            variable: _as_slim(variable, value).shape
            for layer, names in self._layers.values()
            for variable, value in zip(names, layer.get_weights(), strict=True)
        }

    def __call__(self, values: Mapping[str, Array], image: Array) -> Array:
        """Logits [C] of a prepared image [H, W, 3], with these weights by slim's names."""
        for layer, names in self._layers.values():
            layer.set_weights(
                [
                    values[name].reshape(old.shape)
                    for name, old in zip(names, layer.get_weights(), strict=True)
                ]
            )
        return np.asarray(self._model(image[None], training=False)).reshape(-1)


def _names(network: str, layer: Any) -> list[str]:
    scope = layer.name
    for pattern, name in _RENAMED:
        scope = re.sub(pattern, name, scope)
    scope = f"{_SCOPES[network]}/{scope}"
    if isinstance(layer, tf.keras.layers.BatchNormalization):
        return [f"{scope}/BatchNorm/{name}" for name in ("gamma", "beta", "moving_mean", "moving_variance")]
    weights = "depthwise_weights" if isinstance(layer, tf.keras.layers.DepthwiseConv2D) else "weights"
    return [f"{scope}/{name}" for name in (weights, "biases")[: len(layer.weights)]]


def _as_slim(variable: str, value: Array) -> Array:
    """The classifier is a convolution."""
    return (
        value[None, None] if variable.endswith("Logits/Conv2d_1c_1x1/weights") and value.ndim == 2 else value
    )
