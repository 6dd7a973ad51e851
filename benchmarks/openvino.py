"""What runs in the peers' environment on OpenVINO's side: a factory for `Side`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.models import image


def logits(
    folder: str, side: int, batch: int, threads: int, precision: str, photos: str
) -> Callable[[], np.ndarray]:
    """Read a SavedModel with OpenVINO's own reader and run it on `image(side, batch)`.

    `precision` is f32, bf16, or int8: quantized by NNCF on the images in `photos`, with its defaults, and no
    convolution left in bfloat16.
    """
    import openvino

    model = openvino.Core().read_model(folder)
    if precision == "int8":
        model = _quantized(model, Path(photos))
    model.reshape([batch, side, side, 3])
    compiled = openvino.compile_model(
        model,
        "CPU",
        {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "f32" if precision == "int8" else precision,
        },
    )
    pixels = image(side, batch)
    return lambda: np.asarray(compiled(pixels)[0])


def _quantized(model: object, photos: Path) -> object:
    import nncf
    from PIL import Image

    pixels = [np.asarray(Image.open(file))[None] for file in sorted(photos.iterdir())]
    return nncf.quantize(model, nncf.Dataset(pixels), subset_size=len(pixels))
