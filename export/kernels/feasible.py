"""Whether this machine can run what `--target x86` exports, and where else it runs."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum

import numpy as np
import tensorflow as tf

from ..errors import ExportError
from ..networks.network import Tensor
from ..options import GraphOptions
from .int8 import Activations, quantized_convolution
from .portable import Convolution
from .x86 import fused_convolution

_X86 = "x86 builds of TensorFlow with oneDNN"
_RUNS_ON = {
    ("portable", "float32"): "every build of TensorFlow",
    ("portable", "bfloat16"): "every build of TensorFlow",
    ("x86", "float32"): _X86,
    ("x86", "bfloat16"): f"{_X86}, on processors with AVX-512 (fast with AVX512_BF16 or AMX)",
    ("x86", "int8"): f"{_X86}, on processors with AVX2 (fastest with VNNI), with the same answers on all",
}
_CONVOLUTION = Convolution(stride=1, rate=1, padding="SAME", relu=True)


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
    try:
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            session.run(_small_convolution(options))
    except (RuntimeError, TypeError, ValueError, tf.errors.NotFoundError, tf.errors.InvalidArgumentError):
        return Obstacle.KERNELS
    except tf.errors.OpError:
        return Obstacle.PROCESSOR
    return None


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
    warning = (
        f"{found.value}: exported for --target portable instead, which runs everywhere; for --target x86 export on a "
        f"machine like the server's{', or add --untested' if found is Obstacle.PROCESSOR else ''}"
    )
    return replace(options, target="portable"), warning


def _small_convolution(options: GraphOptions) -> Tensor:
    filter_shape = (3, 3, 16, 16)
    if options.precision == "int8":
        net = Activations(tf.bitcast(tf.ones([1, 8, 8, 16], tf.uint8), tf.quint8), 1.0)
        weights = tf.bitcast(tf.ones(filter_shape, tf.int8), tf.qint8)
        activations = quantized_convolution(net, weights, tf.ones(16), tf.zeros(16), _CONVOLUTION, 1.0)
        return tf.bitcast(activations.values, tf.uint8)
    dtype = tf.as_dtype(options.precision)
    net, weights, biases = (tf.cast(np.ones(shape), dtype) for shape in ((1, 8, 8, 16), filter_shape, (16,)))
    return tf.cast(fused_convolution(net, weights, biases, _CONVOLUTION), tf.float32)
