"""What runs in the peers' environment on OpenVINO's side: a factory for `Side`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def logits(folder: str, side: int, threads: int) -> Callable[[], np.ndarray]:
    """Read a SavedModel with OpenVINO's own reader and run it on one image of `side` pixels."""
    import openvino

    model = openvino.Core().read_model(folder)
    model.reshape([1, side, side, 3])
    compiled = openvino.compile_model(
        model,
        "CPU",
        {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "bf16"},
    )
    pixels = np.random.default_rng(0).integers(0, 256, (1, side, side, 3)).astype(np.uint8)
    return lambda: np.asarray(compiled(pixels)[0])
