"""Which layers an export is written in: by its target and its precision."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from export.fused_layers import FusedLayers
from export.graph import GraphOptions
from export.layers import VariableLayers
from export.model_variables import Variables
from export.networks.network import Layers, Network
from export.quantized_layers import QuantizedLayers

_STORED = {"float32": tf.float32, "bfloat16": tf.bfloat16}


def layers_of(
    options: GraphOptions, variables: Variables, network: Network, ranges: Mapping[str, float] | None
) -> Layers:
    """Layers over `variables`; `ranges` of the activations, by scope, where the precision is int8."""
    if options.precision == "int8":
        assert ranges is not None
        return QuantizedLayers(variables, network, ranges)
    kind = FusedLayers if options.target == "x86" else VariableLayers
    return kind(variables, network.scope, _STORED[options.precision])
