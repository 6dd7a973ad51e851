"""Warm-up requests: TensorFlow Serving replays them before it calls a version AVAILABLE.

`assets.extra/tf_serving_warmup_requests` is a TFRecord file of `PredictionLog`
(tensorflow_serving/apis/prediction_log.proto).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from ..networks import Network
from .protocol import PredictionLog


def write_warmup_requests(folder: Path, network: Network, max_pixels: int) -> None:
    """Write one request for each signature into the version folder `folder`; no image of more than `max_pixels`."""
    (folder / "assets.extra").mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(folder / "assets.extra" / "tf_serving_warmup_requests")) as writer:
        for log in _requests(network, min(network.crop, math.isqrt(max_pixels))):
            writer.write(log.SerializeToString())


def _requests(network: Network, side: int) -> Iterator[PredictionLog]:
    ramp = np.linspace(0, 255, side).astype(np.uint8)
    image = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None, :], ramp[::-1, None]), axis=-1)
    jpeg = tf.io.encode_jpeg(image).numpy()
    for signature in ("serving_default", "classify", *(("segment", "logits") if network.segments else ())):
        yield _predict(network, signature, "images", image[None])
    for signature in ("classify_bytes", *(("segment_bytes",) if network.segments else ())):
        yield _predict(network, signature, "image_bytes", np.array([jpeg], object))
    features = np.zeros((1, network.crop, network.crop, 3), np.float32)
    yield _predict(network, "network", "features", features)
    yield _predict(network, "labels", "class_ids", np.zeros(1, np.int32))
    yield _classify(network, jpeg)


def _predict(network: Network, signature: str, name: str, value: np.ndarray) -> PredictionLog:
    log = PredictionLog()
    request = log.predict_log.request
    request.model_spec.name, request.model_spec.signature_name = network.name, signature
    request.inputs[name].MergeFromString(tf.make_tensor_proto(value).SerializeToString())
    return log


def _classify(network: Network, jpeg: bytes) -> PredictionLog:
    log = PredictionLog()
    request = log.classify_log.request
    request.model_spec.name, request.model_spec.signature_name = network.name, "classify_examples"
    example = request.input.example_list.examples.add()
    example.features.feature["image/encoded"].bytes_list.value.append(jpeg)
    return log
