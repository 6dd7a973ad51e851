"""Which layers an export is written in: by its target and its precision."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from ..networks.network import Layers, Network
from ..options import GraphOptions
from ..verify.activations import Statistics
from ..weights.recipes import Variables
from .int8 import QuantizedLayers
from .portable import VariableLayers
from .rounded_layers import RoundedLayers
from .x86 import FusedLayers

_STORED = {"float32": tf.float32, "bfloat16": tf.bfloat16}


def layers_of(
    options: GraphOptions,
    variables: Variables,
    network: Network,
    statistics: Mapping[str, Statistics] | None,
    *,
    emulated: bool,
) -> Layers:
    """Layers over `variables`.

    Args:
        options: say which.
        variables: what they get.
        network: that is built.
        statistics: of the convolutions, by scope, where the precision is int8.
        emulated: stock ops that round in the same places, to be run where the layers themselves can't.
    """
    if options.precision == "int8":
        assert statistics is not None
        return QuantizedLayers(variables, network, statistics)
    kinds = {"portable": VariableLayers, "x86": RoundedLayers if emulated else FusedLayers}
    return kinds[options.target](variables, network.scope, _STORED[options.precision])
