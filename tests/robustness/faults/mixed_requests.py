"""Requests to a demo export, drawn at random: good, bad, and of callers that do not wait."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import grpc
import numpy as np
import tensorflow as tf
from PIL import Image
from slimserve.export.demo.landscape import demo_scene
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
)

Code = grpc.StatusCode
MODEL = "vgg_16"
PREDICT = "/tensorflow.serving.PredictionService/Predict"
CLASSIFY = "/tensorflow.serving.PredictionService/Classify"
METADATA = "/tensorflow.serving.PredictionService/GetModelMetadata"
STATUS = "/tensorflow.serving.ModelService/GetModelStatus"
LARGEST_SIDE = 224


@dataclass(frozen=True)
class Request:
    """A call to make.

    Attributes:
        expected: how it may end.
        shapes: the shape of outputs, by name.
        is_work: whether it takes a pass of the network.
        deadline: seconds; None for a patient caller.
        gone_after: seconds after which the caller cancels; with `hangs_up` it closes its connection instead.
    """

    kind: str
    method: str
    message: bytes
    expected: tuple[grpc.StatusCode, ...] = (Code.OK,)
    shapes: tuple[tuple[str, tuple[int, ...]], ...] = ()
    is_work: bool = False
    deadline: float | None = None
    gone_after: float | None = None
    hangs_up: bool = False

    def fault_of(self, answer: bytes) -> str:
        """What is wrong with an answer, or nothing."""
        if not answer:
            return "an empty answer"
        outputs = predict_pb2.PredictResponse.FromString(answer).outputs if self.shapes else {}
        for name, shape in self.shapes:
            given = tuple(dim.size for dim in outputs[name].tensor_shape.dim)
            if given != shape:
                return f"{name} has shape {given} instead of {shape}"
        return ""


def predict(kind: str, signature: str, name: str, value: object, **facts: object) -> Request:
    message = predict_pb2.PredictRequest()
    message.model_spec.name = MODEL
    message.model_spec.signature_name = signature
    message.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return Request(kind, PREDICT, message.SerializeToString(), **facts)


class Drawing:
    """Draws requests, all from one picture."""

    def __init__(self, rng: random.Random, pixels: np.random.Generator) -> None:
        self._rng, self._pixels = rng, pixels
        self._scene = demo_scene()[0]

    def images(self) -> np.ndarray:
        """One image or two, of any size: uint8 [N,H,W,3]."""
        height, width = (self._rng.randint(1, LARGEST_SIDE) for _ in range(2))
        count = 1 if height * width > 100 * 100 else self._rng.randint(1, 2)
        top, left = self._rng.randint(0, 480 - height), self._rng.randint(0, 640 - width)
        return np.stack([self._scene[top : top + height, left : left + width]] * count)

    def encoded(self) -> bytes:
        file = io.BytesIO()
        Image.fromarray(self.images()[0]).save(file, self._rng.choice(["JPEG", "PNG", "BMP", "WEBP"]))
        return file.getvalue()

    def classify(self) -> Request:
        images = self.images()
        shapes = (("class_ids", (len(images), 5)),)
        return predict("classify", "classify", "images", images, shapes=shapes, is_work=True)

    def classify_bytes(self) -> Request:
        encoded = [self.encoded() for _ in range(self._rng.randint(1, 2))]
        shapes = (("class_ids", (len(encoded), 5)),)
        return predict(
            "classify_bytes", "classify_bytes", "image_bytes", encoded, shapes=shapes, is_work=True
        )

    def classify_examples(self) -> Request:
        message = classification_pb2.ClassificationRequest()
        message.model_spec.name, message.model_spec.signature_name = MODEL, "classify_examples"
        example = message.input.example_list.examples.add()
        example.features.feature["image/encoded"].bytes_list.value.append(self.encoded())
        return Request("classify_examples", CLASSIFY, message.SerializeToString(), is_work=True)

    def segment(self) -> Request:
        images = self.images()
        shapes = (("label_map", images.shape[:3]),)
        return predict("segment", "segment", "images", images, shapes=shapes, is_work=True)

    def segment_bytes(self) -> Request:
        shapes = (("label_png", (1,)),)
        encoded = [self.encoded()]
        return predict("segment_bytes", "segment_bytes", "image_bytes", encoded, shapes=shapes, is_work=True)

    def both(self) -> Request:
        images = self.images()
        shapes = (("label_map", images.shape[:3]), ("scores", (len(images), 5)))
        return predict("serving_default", "", "images", images, shapes=shapes, is_work=True)

    def logits(self) -> Request:
        return predict("logits", "logits", "images", self.images(), is_work=True)

    def labels(self) -> Request:
        return predict("labels", "labels", "class_ids", np.arange(5, dtype=np.int32))

    def metadata(self) -> Request:
        message = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        message.model_spec.name = MODEL
        return Request("metadata", METADATA, message.SerializeToString())

    def status(self) -> Request:
        message = get_model_status_pb2.GetModelStatusRequest()
        message.model_spec.name = MODEL
        return Request("status", STATUS, message.SerializeToString())

    def bad(self) -> Request:
        invalid = (Code.INVALID_ARGUMENT,)
        damaged = bytearray(self.encoded())
        for _ in range(20):
            damaged[self._rng.randrange(len(damaged))] = self._rng.randrange(256)
        drawn = self._rng.choice(
            [
                predict("four channels", "segment", "images", np.zeros((1, 9, 9, 4), np.uint8)),
                predict("no batch", "classify", "images", np.zeros((9, 9, 3), np.uint8)),
                predict("floats", "segment", "images", np.zeros((1, 9, 9, 3), np.float32)),
                predict("no pixels", "segment", "images", np.zeros((1, 0, 9, 3), np.uint8)),
                predict("no image", "classify_bytes", "image_bytes", [self._pixels.bytes(3000)]),
                predict("unknown input", "segment", "pictures", [1]),
                predict("unknown class", "labels", "class_ids", np.array([-7], np.int32)),
            ]
        )
        others = [
            replace(
                predict("unknown signature", "paint", "images", [1]), expected=(Code.FAILED_PRECONDITION,)
            ),
            Request("not a message", PREDICT, b"\xff" * 50, (Code.INTERNAL,)),
            predict(
                "damaged image",
                "segment_bytes",
                "image_bytes",
                [bytes(damaged)],
                expected=(Code.OK, *invalid),
            ),
        ]
        return self._rng.choice([replace(drawn, expected=invalid)] * 7 + others)

    def late(self) -> Request:
        """Its deadline passes before it is run, while it is, or not at all."""
        work = self.segment()
        deadline = self._rng.uniform(0.001, 1.0)
        expected = (Code.OK, Code.DEADLINE_EXCEEDED)
        return replace(work, kind="late", deadline=deadline, expected=expected, is_work=False)

    def vanishing(self) -> Request:
        """Its caller cancels or hangs up before it is run, while it is, or after."""
        work = self._rng.choice([self.segment, self.classify_bytes, self.both])()
        gone_after, hangs_up = self._rng.uniform(0.0, 0.5), self._rng.random() < 0.5
        expected = (Code.OK, Code.CANCELLED)
        return replace(
            work, kind="vanishing", expected=expected, gone_after=gone_after, hangs_up=hangs_up, is_work=False
        )


def requests(rng: random.Random, pixels: np.random.Generator) -> Iterator[Request]:
    """Requests without end."""
    drawing = Drawing(rng, pixels)
    weights: dict[Callable[[], Request], int] = {
        drawing.classify: 2,
        drawing.classify_bytes: 2,
        drawing.classify_examples: 1,
        drawing.segment: 4,
        drawing.segment_bytes: 4,
        drawing.both: 3,
        drawing.logits: 2,
        drawing.labels: 2,
        drawing.metadata: 1,
        drawing.status: 1,
        drawing.bad: 6,
        drawing.late: 3,
        drawing.vanishing: 3,
    }
    while True:
        yield rng.choices(list(weights), list(weights.values()))[0]()
