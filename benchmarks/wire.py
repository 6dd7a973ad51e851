"""Requests encoded and responses read, by our client and by others, on the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benchmarks.rows import Figure, Row
from benchmarks.run import Run
from benchmarks.side import BenchmarkError, Side, interleave

_ROUNDS = 31


def label_map() -> np.ndarray:
    """uint16 [1, 1024, 1024]: blocks of 8x8 pixels, 1000 classes, so that values of both varint lengths alternate."""
    blocks = np.random.default_rng(0).integers(0, 1000, (1, 128, 128)).astype(np.uint16)
    return blocks.repeat(8, axis=1).repeat(8, axis=2)


def logits() -> np.ndarray:
    """1,024,000 float32 values: 32x32 cells of 1000 classes."""
    return np.random.default_rng(0).normal(0, 2.5, (1, 32, 32, 1000)).astype(np.float32)


def pixels() -> np.ndarray:
    """uint8 [1, 1024, 1024, 3]."""
    return np.random.default_rng(0).integers(0, 256, (1, 1024, 1024, 3), np.uint8)


def parse_label_map(run: Run) -> Iterator[Row]:
    """A response with a 1024x1024 label map, as servers send it by default and as raw bytes."""
    yield from _parse(run, "1024x1024 uint16 label map, typed fields", "label_map", False, 1 / 6)
    yield from _parse(run, "1024x1024 uint16 label map, tensor content", "label_map", True, 1 / 50)


def parse_logits(run: Run) -> Iterator[Row]:
    """A response with 1,024,000 float32 logits, as servers send it by default."""
    yield from _parse(run, "1,024,000 float32 logits, typed fields", "logits", False, 1 / 100)


def encode(run: Run) -> Iterator[Row]:
    """A request with 1024x1024 RGB pixels."""
    yield from _compare(run, "encode a 1024x1024x3 request", "encode", {}, 1 / 2)


def _parse(run: Run, what: str, array: str, tensor_content: bool, at_most: float) -> Iterator[Row]:
    file = run.folder / f"{array}_{tensor_content}.bin"
    Side("benchmarks.wire:write_response", array=array, tensor_content=tensor_content, file=str(file)).close()
    yield from _compare(run, f"parse a {what}", "parse", {"file": str(file)}, at_most)


def _compare(run: Run, what: str, verb: str, arguments: dict[str, str], at_most: float) -> Iterator[Row]:
    run.say(what)
    sides = {
        "ours": Side(f"benchmarks.wire:{verb}_ours", **arguments),
        "TensorFlow": Side(f"benchmarks.wire:{verb}_tensorflow", **arguments),
    }
    try:
        if run.peers:
            sides["ovmsclient"] = Side(f"benchmarks.wire:{verb}_ovmsclient", python=run.peers, **arguments)
        if verb == "parse":
            answers = [side.answer() for side in sides.values()]
            if not all(np.array_equal(answers[0], other) for other in answers[1:]):
                raise BenchmarkError(f"{what}: the arrays differ")
        taken = interleave(sides, run.rounds(_ROUNDS), warmup=3)
    finally:
        for side in sides.values():
            side.close()
    figures = {name: Figure.of([step.seconds for step in steps], "seconds") for name, steps in taken.items()}
    theirs = figures.get("ovmsclient")
    yield Row(what, figures["ours"], "ovmsclient", theirs, at_most)
    function = "tf.make_ndarray" if verb == "parse" else "tf.make_tensor_proto"
    yield Row(what, figures["ours"], f"TensorFlow ({function})", figures["TensorFlow"])


def write_response(array: str, tensor_content: bool, file: str) -> None:
    """Write a PredictResponse as TensorFlow Serving would send it."""
    from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2, types_pb2
    from tensorflow_serving.apis import predict_pb2

    values = {"label_map": label_map, "logits": logits}[array]()
    dims = [tensor_shape_pb2.TensorShapeProto.Dim(size=size) for size in values.shape]
    tensor = tensor_pb2.TensorProto(
        dtype=types_pb2.DT_FLOAT if array == "logits" else types_pb2.DT_UINT16,
        tensor_shape=tensor_shape_pb2.TensorShapeProto(dim=dims),
    )
    if tensor_content:
        tensor.tensor_content = values.tobytes()
    else:
        field = tensor.float_val if array == "logits" else tensor.int_val
        field.extend(values.ravel().tolist())
    response = predict_pb2.PredictResponse()
    response.outputs["output"].CopyFrom(tensor)
    response.model_spec.name = "vgg_16"
    Path(file).write_bytes(response.SerializeToString())


def parse_ours(file: str) -> Callable[[], np.ndarray]:
    """Read a response with our client's own functions."""
    from slimserve.wire.messages import predict_response

    data = Path(file).read_bytes()
    return lambda: predict_response(data).outputs["output"]


def parse_tensorflow(file: str) -> Callable[[], np.ndarray]:
    """Read a response with the official messages."""
    import tensorflow as tf
    from tensorflow_serving.apis.predict_pb2 import PredictResponse

    data = Path(file).read_bytes()
    return lambda: tf.make_ndarray(PredictResponse.FromString(data).outputs["output"])


def parse_ovmsclient(file: str) -> Callable[[], np.ndarray]:
    """Read a response with ovmsclient, in the peers' environment."""
    from ovmsclient.tfs_compat.grpc.tensors import make_ndarray
    from ovmsclient.tfs_compat.protos.tensorflow_serving.apis.predict_pb2 import PredictResponse

    data = Path(file).read_bytes()
    return lambda: make_ndarray(PredictResponse.FromString(data).outputs["output"])


def encode_ours() -> Callable[[], bytes]:
    """Encode `pixels` with our client's own functions."""
    from slimserve.wire.encoding import tensor_of_array
    from slimserve.wire.messages import Servable, predict_request

    images, servable = pixels(), Servable("vgg_16")
    return lambda: predict_request(servable, "segment", {"images": tensor_of_array(images)})


def encode_tensorflow() -> Callable[[], bytes]:
    """Encode `pixels` with the official messages."""
    import tensorflow as tf
    from tensorflow_serving.apis.predict_pb2 import PredictRequest

    return _encode_with(PredictRequest, tf.make_tensor_proto)


def encode_ovmsclient() -> Callable[[], bytes]:
    """Encode `pixels` with ovmsclient, in the peers' environment."""
    from ovmsclient.tfs_compat.grpc.tensors import make_tensor_proto
    from ovmsclient.tfs_compat.protos.tensorflow_serving.apis.predict_pb2 import PredictRequest

    return _encode_with(PredictRequest, make_tensor_proto)


def _encode_with(message: Callable, make_tensor_proto: Callable) -> Callable[[], bytes]:
    images = pixels()

    def step() -> bytes:
        request = message()
        request.model_spec.name, request.model_spec.signature_name = "vgg_16", "segment"
        request.inputs["images"].CopyFrom(make_tensor_proto(images))
        return request.SerializeToString()

    return step
