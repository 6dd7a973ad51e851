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
from tensorflow_serving.apis import classification_pb2, model_pb2, predict_pb2, prediction_log_pb2

from ..networks import Network


def write_warmup_requests(folder: Path, network: Network, max_pixels: int) -> None:
    """Write one request for each signature into the version folder `folder`; no image of more than `max_pixels`."""
    (folder / "assets.extra").mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(folder / "assets.extra" / "tf_serving_warmup_requests")) as writer:
        for log in _requests(network, min(network.crop, math.isqrt(max_pixels))):
            writer.write(log.SerializeToString())


def _requests(network: Network, side: int) -> Iterator[prediction_log_pb2.PredictionLog]:
    ramp = np.linspace(0, 255, side).astype(np.uint8)
    image = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None, :], ramp[::-1, None]), axis=-1)
    jpeg = tf.io.encode_jpeg(image).numpy()
    for signature in ("serving_default", "classify", *(("segment", "logits") if network.segments else ())):
        yield _predict(network, signature, "images", image[None])
    for signature in ("classify_bytes", *(("segment_bytes",) if network.segments else ())):
        yield _predict(network, signature, "image_bytes", np.array([jpeg], object))
    yield _predict(network, "labels", "class_ids", np.zeros(1, np.int32))
    yield _classify(network, jpeg)


def _predict(
    network: Network, signature: str, name: str, value: np.ndarray
) -> prediction_log_pb2.PredictionLog:
    spec = model_pb2.ModelSpec(name=network.name, signature_name=signature)
    request = predict_pb2.PredictRequest(model_spec=spec, inputs={name: tf.make_tensor_proto(value)})
    return prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))


def _classify(network: Network, jpeg: bytes) -> prediction_log_pb2.PredictionLog:
    request = classification_pb2.ClassificationRequest(
        model_spec=model_pb2.ModelSpec(name=network.name, signature_name="classify_examples")
    )
    example = request.input.example_list.examples.add()
    example.features.feature["image/encoded"].bytes_list.value.append(jpeg)
    return prediction_log_pb2.PredictionLog(classify_log=prediction_log_pb2.ClassifyLog(request=request))
