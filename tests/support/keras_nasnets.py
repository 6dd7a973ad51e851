"""Keras' NASNet-A under the variable names of slim's: an implementation that shares no code with the exporter.

In its reductions Keras pads with zeros before it pools, so that zeros count in a mean and can be the maximum at the
border. Slim leaves out what lies beyond the border, and so do the pools of these models.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

Array = np.ndarray
_SIDES = {"normal": {"left1": 5, "right1": 3, "left2": 5, "right2": 3, "left5": 3}}
_SIDES["reduction"] = {"left1": 5, "right1": 7, "right2": 7, "right3": 5, "left4": 3}
# Keras calls this branch of the fifth sum a fourth.
_SUMS = {("reduction", "left4"): "comb_iter_4/left"}
_IN_A_CELL = {
    "normal_conv_1": "1x1",
    "normal_bn_1": "beginning_bn",
    "reduction_conv_1": "1x1",
    "reduction_bn_1": "beginning_bn",
    "adjust_conv_projection": "prev_1x1",
    "adjust_conv_1": "path1_conv",
    "adjust_conv_2": "path2_conv",
}
_POOLS = re.compile(r"reduction_(left2|left3|right5)_")


class KerasNASNet:
    """`keras.applications` NASNet of some size, for images of one size.

    Attributes:
        shapes: of the variables, by slim's names.
    """

    def __init__(
        self,
        size: tuple[int, int],
        classes: int,
        *,
        stem: int,
        filters: int,
        repetitions: int,
        skips: bool,
        as_slim: bool = True,
    ) -> None:
        """Build it; without `as_slim`, it pools as Keras does."""
        tf.keras.backend.clear_session()
        model = importlib.import_module("keras.src.applications.nasnet").NASNet(
            input_shape=(*size, 3),
            penultimate_filters=24 * filters,
            num_blocks=repetitions,
            stem_block_filters=stem,
            skip_reduction=skips,
            weights=None,
            classes=classes,
            classifier_activation=None,
        )
        if as_slim:
            model = tf.keras.models.clone_model(model, clone_function=_pooling_as_slim)
        self._model = model
        kinds = {layer.name for layer in model.layers}
        self._layers = {
            layer.name: (layer, _names(layer, repetitions, kinds)) for layer in model.layers if layer.weights
        }
        self.shapes = {
            variable: value.shape
            for layer, names in self._layers.values()
            for variable, value in zip(names, layer.get_weights(), strict=True)
        }

    def __call__(self, values: Mapping[str, Array], image: Array) -> Array:
        """Logits [C] of a prepared image [H, W, 3], with these weights by slim's names."""
        for layer, names in self._layers.values():
            layer.set_weights([values[name] for name in names])
        return np.asarray(self._model(image[None], training=False))[0]


def _pooling_as_slim(layer: Any) -> Any:
    config = layer.get_config()
    if layer.name.startswith("reduction_pad"):
        config["padding"] = 0
    elif _POOLS.match(layer.name):
        config["padding"] = "same"
    return type(layer).from_config(config)


def _names(layer: Any, repetitions: int, layers: set[str]) -> list[str]:
    kind, scope = layer.name, ""
    if found := re.fullmatch(r"(.*?)_(stem_\d+|reduce_\d+|\d+)", layer.name):
        kind, block = found.groups()
        scope = f"{_cell(block, repetitions)}/"
    statistics = isinstance(layer, tf.keras.layers.BatchNormalization)
    if separable := re.fullmatch(r"separable_conv_(\d)(_bn)?_(normal|reduction)_(\w+?)", kind):
        number, norm, of, branch = separable.groups()
        side, sums = _SIDES[of][branch], re.fullmatch(r"(\D+)(\d)", branch)
        assert sums
        place = _SUMS.get((of, branch), f"comb_iter_{int(sums[2]) - 1}/{sums[1]}")
        scope += f"{place}/{'bn_sep' if norm else 'separable'}_{side}x{side}_{number}"
    elif kind == "adjust_bn":
        projected = layer.name.replace("bn", "conv_projection") in layers
        scope += "prev_bn" if projected else "final_path_bn"
    else:
        outside = {"stem_conv1": "conv0", "stem_bn1": "conv0_bn", "predictions": "final_layer/FC"}
        scope += (_IN_A_CELL | outside)[kind]
    if statistics:
        return [f"{scope}/{name}" for name in ("gamma", "beta", "moving_mean", "moving_variance")]
    if separable:
        return [f"{scope}/depthwise_weights", f"{scope}/pointwise_weights"]
    return [f"{scope}/{name}" for name in ("weights", "biases")[: len(layer.weights)]]


def _cell(block: str, repetitions: int) -> str:
    """Keras counts stem cells from 1, and a reduction where a normal cell would be."""
    kind, _, number = block.rpartition("_")
    if kind == "stem":
        return f"cell_stem_{int(number) - 1}"
    if kind == "reduce":
        return f"reduction_cell_{int(number) // repetitions - 1}"
    return f"cell_{int(number) - (int(number) > repetitions)}"
