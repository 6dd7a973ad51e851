"""Which layers an export is built of, where they run, and whether this machine can run them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from pathlib import Path

import numpy as np
import tensorflow as tf

from ...errors import ExportError
from ...networks import Network
from ...networks.layers import Convolution
from ...plan.options import GraphOptions
from ...types import Tensor
from ...weights.quantization import Statistics
from ...weights.recipes import Variables
from .int8 import QuantizedLayers
from .int8_nodes import Activations, quantized_convolution, quantized_product
from .portable import VariableLayers
from .x86 import EmulatedLayers, FusedLayers, fused_batched_product, fused_convolution, fused_product

_X86 = "x86 builds of TensorFlow with oneDNN"
_RUNS_ON = {
    ("portable", "float32"): "every build of TensorFlow",
    ("portable", "bfloat16"): "every build of TensorFlow; slow on x86 processors without AVX512_BF16",
    ("portable", "float16"): "every build of TensorFlow; it is for GPUs, and slow on processors",
    ("x86", "float32"): _X86,
    ("x86", "bfloat16"): f"{_X86}, on processors with AVX-512 (fast with AVX512_BF16 or AMX)",
    ("x86", "int8"): f"{_X86}, on processors with AVX2 (fastest with VNNI), with the same answers on all",
}
_CONVOLUTION = Convolution("tried", 16, 3)
_PROCESSOR = Path("/proc/cpuinfo")


def layers_of(
    options: GraphOptions,
    variables: Variables,
    network: Network,
    statistics: Mapping[str, Statistics] | None = None,
    *,
    emulated: bool = False,
) -> VariableLayers:
    """Layers over `variables`.

    Args:
        options: say which.
        variables: what the layers store.
        network: that is built.
        statistics: of the convolutions, by full scope, where the precision is int8.
        emulated: stock ops that round where the layers of --target x86 do, to be run where those can't.
    """
    if options.precision == "int8":
        assert statistics is not None
        return QuantizedLayers(variables, network, statistics)
    kinds = {"portable": VariableLayers, "x86": EmulatedLayers if emulated else FusedLayers}
    return kinds[options.target](variables, network.scope, tf.as_dtype(options.precision))


def runs_on(options: GraphOptions) -> str:
    """Where a model exported with these options runs."""
    return _RUNS_ON[options.target, options.precision]


class Obstacle(Enum):
    """Why this machine can't run a model; the value is told to the user."""

    KERNELS = "this TensorFlow has no kernels for --target x86 (it takes an x86 build with oneDNN)"
    PROCESSOR = "this processor has no instructions for convolutions in this precision"


def obstacle(options: GraphOptions) -> Obstacle | None:
    """What keeps this machine from running a model exported with these options; None where nothing does."""
    if options.target == "portable":
        return None
    if options.precision == "bfloat16":
        # TensorFlow 2.18 ends the process where oneDNN lacks such a convolution, so the processor is asked first.
        found = obstacle(replace(options, precision="float32"))
        if found or not _has_bfloat16():
            return found or Obstacle.PROCESSOR
    try:
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            session.run(_small_network(options))
    except (RuntimeError, TypeError, ValueError, tf.errors.NotFoundError, tf.errors.InvalidArgumentError):
        return Obstacle.KERNELS
    except tf.errors.OpError:
        return Obstacle.PROCESSOR
    return None


def _has_bfloat16() -> bool:
    """Whether oneDNN has convolutions in bfloat16 for this processor, or Linux does not tell (oneDNN, "Data Types")."""
    try:
        known = _PROCESSOR.read_text().split()
    except OSError:
        return True
    return "avx512bw" in known or "avx_ne_convert" in known


def feasible(options: GraphOptions, untested: bool) -> tuple[GraphOptions, str | None]:
    """Options that can be exported on this machine, and a warning where it can't run them.

    Raises:
        ExportError: int8 can't be run here, which its calibration takes.
    """
    found = obstacle(options)
    if found is None:
        return options, None
    if options.precision == "int8":
        raise ExportError(
            f"{found.value}, and int8 is calibrated and compared by running it: export on a machine like the server's, "
            "or with --precision bfloat16"
        )
    if untested and found is Obstacle.PROCESSOR:
        return (
            options,
            f"{found.value}: exported untested, compared through ops that round in the same places",
        )
    slow, untested_too = "", ""
    if found is Obstacle.PROCESSOR:
        slow, untested_too = ", but on such a processor slower than float32", ", or add --untested"
    warning = (
        f"{found.value}: exported for --target portable instead, which runs everywhere{slow}; for --target x86 export "
        f"on a machine like the server's{untested_too}"
    )
    return replace(options, target="portable"), warning


def _small_network(options: GraphOptions) -> Tensor:
    """A convolution and products behind it, by the nodes that the options ask for."""
    filter_shape = (3, 3, 16, 16)
    if options.precision == "int8":
        net = Activations(tf.bitcast(tf.ones([1, 8, 8, 16], tf.uint8), tf.quint8), 1.0)
        weights = tf.bitcast(tf.ones(filter_shape, tf.int8), tf.qint8)
        net = quantized_convolution(net, weights, tf.ones(16), tf.zeros(16), _CONVOLUTION, 1.0)
        rows = tf.bitcast(tf.reshape(tf.bitcast(net.values, tf.uint8), [-1, 16]), tf.quint8)
        matrix = tf.bitcast(tf.ones([16, 16], tf.int8), tf.qint8)
        result = quantized_product(Activations(rows, 1.0), matrix, tf.ones(16), tf.zeros(16), 1.0)
        return tf.bitcast(result.values, tf.uint8)
    dtype = tf.as_dtype(options.precision)
    net, weights, biases, matrix = (
        tf.cast(np.ones(shape), dtype) for shape in ((1, 8, 8, 16), filter_shape, (16,), (16, 16))
    )
    rows = tf.reshape(fused_convolution(net, weights, biases, _CONVOLUTION), [-1, 16])
    rows = fused_batched_product(rows, matrix, biases, "Relu")
    return tf.cast(fused_product(rows, matrix, biases, "Relu"), tf.float32)
