"""Drawn models and requests: a server answers what a TensorFlow session computes, or refuses with the right code."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf
from slimserve.serving_config.engine.server import Engine, Options
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from tests.contract.conftest import MODELS, SERVER
from tests.contract.generated_models import Draw, Signature, write_model
from tests.support.tensors import values

v1 = tf.compat.v1
SAMPLE, WHOLE = 3, 300
REQUESTS = 4  # for each signature, the first as stated
Answer = dict[str, np.ndarray] | str  # the outputs, or the name of a code
Request = predict_pb2.PredictRequest


class Session:
    """A model in a TensorFlow session that takes any shape, as TensorFlow Serving's does.

    Rewritten, as TensorFlow Serving has it, a graph answers some shapes that it refuses as it is stored.
    """

    def __init__(self, version: Path, *, rewritten: bool) -> None:
        (meta,) = SavedModel.FromString((version / "saved_model.pb").read_bytes()).meta_graphs
        for node in meta.graph_def.node:
            node.attr.pop("_output_shapes", None)
            if node.op.startswith("Placeholder"):  # a default's shape would be the placeholder's
                node.op = "Placeholder"
                node.ClearField("input")
                node.attr["shape"].shape.CopyFrom(tf.TensorShape(None).as_proto())
        self._signatures = meta.signature_def
        config = v1.ConfigProto()
        config.graph_options.rewrite_options.disable_meta_optimizer = not rewritten
        self._session = v1.Session(graph=tf.Graph(), config=config)
        with self._session.graph.as_default():
            saver = v1.train.import_meta_graph(meta)
            if saver:
                saver.restore(self._session, str(version / "variables" / "variables"))
            self._session.run(meta.collection_def["saved_model_main_op"].node_list.value[:])

    def answer(self, request: Request) -> Answer:
        signature = self._signatures[request.model_spec.signature_name]
        given = {**signature.defaults, **request.inputs}
        if given.keys() != signature.inputs.keys():
            return "INVALID_ARGUMENT"
        feeds = {signature.inputs[alias].name: values(proto) for alias, proto in given.items()}
        fetches = {name: signature.outputs[name].name for name in request.output_filter or signature.outputs}
        if feeds.keys() & set(fetches.values()):
            return "INVALID_ARGUMENT"  # both fed and fetched, which Python's session answers itself
        try:
            return self._session.run(fetches, feeds)
        except tf.errors.OpError as error:
            return next(code.name for code in grpc.StatusCode if code.value[0] == error.error_code)

    def close(self) -> None:
        self._session.close()


# What is done to a request; the code that it is refused with, or None where the graph decides.


def _left_out(request: Request, draw: Draw, signature: Signature) -> None:
    del request.inputs[draw.one(signature.inputs)]


def _one_too_many(request: Request, draw: Draw, signature: Signature) -> str:
    request.inputs["unheard of"].CopyFrom(tf.make_tensor_proto(1))
    return "INVALID_ARGUMENT"


def _other_type(request: Request, draw: Draw, signature: Signature) -> str:
    proto = request.inputs[draw.one(signature.inputs)]
    other = tf.int64 if proto.dtype == tf.float32.as_datatype_enum else tf.float32
    proto.CopyFrom(tf.make_tensor_proto(draw.values(other, [2])))
    return "INVALID_ARGUMENT"


def _other_shape(request: Request, draw: Draw, signature: Signature) -> None:
    proto = request.inputs[draw.one(signature.inputs)]
    value = np.asarray(values(proto), object if proto.dtype == tf.string.as_datatype_enum else None)
    other = draw.one([value[None], np.concatenate([value[None]] * 2), value.reshape(-1)])
    proto.CopyFrom(tf.make_tensor_proto(other, proto.dtype))


def _cut_off(request: Request, draw: Draw, signature: Signature) -> str:
    request.inputs[draw.one(signature.inputs)].CopyFrom(
        TensorProto(dtype=draw.one([tf.float32, tf.int8]).as_datatype_enum, tensor_content=b"\0\0\0")
    )
    return "INVALID_ARGUMENT"


def _some_outputs(request: Request, draw: Draw, signature: Signature) -> None:
    request.output_filter.extend(sorted(signature.outputs, reverse=True)[:2])


def _output_twice(request: Request, draw: Draw, signature: Signature) -> str:
    request.output_filter.extend([draw.one(signature.outputs)] * 2)
    return "INVALID_ARGUMENT"


def _no_output(request: Request, draw: Draw, signature: Signature) -> str:
    request.output_filter.append("unheard of")
    return "INVALID_ARGUMENT"


def _no_signature(request: Request, draw: Draw, signature: Signature) -> str:
    request.model_spec.signature_name = draw.one(["", "unheard of"])
    return "FAILED_PRECONDITION"


def _no_version(request: Request, draw: Draw, signature: Signature) -> str:
    request.model_spec.version.value = 2
    return "NOT_FOUND"


CHANGES: list[Callable[[Request, Draw, Signature], str | None]] = [
    _left_out,
    _one_too_many,
    _other_type,
    _other_shape,
    _cut_off,
    _some_outputs,
    _output_twice,
    _no_output,
    _no_signature,
    _no_version,
]


def typed(value: np.ndarray) -> TensorProto:
    """In the field of its type, where `tf.make_tensor_proto` takes bytes."""
    proto = tf.make_tensor_proto(value)
    if proto.tensor_content:
        flat, name = np.ravel(value), np.asarray(value).dtype.name
        fields = {"float32": "float_val", "float64": "double_val", "bool": "bool_val", "int64": "int64_val"}
        fields |= {
            "uint32": "uint32_val",
            "uint64": "uint64_val",
            "float16": "half_val",
            "bfloat16": "half_val",
        }
        fields |= {"complex64": "scomplex_val", "complex128": "dcomplex_val"}
        if name in ("float16", "bfloat16"):
            flat = flat.view(np.uint16)
        elif flat.dtype.kind == "c":
            flat = flat.view(flat.real.dtype)
        getattr(proto, fields.get(name, "int_val")).extend(flat.tolist())
        proto.ClearField("tensor_content")
    return proto


def request_of(model: str, name: str, signature: Signature, draw: Draw) -> Request:
    request = Request()
    request.model_spec.name, request.model_spec.signature_name = model, name
    for alias, value in signature.given.items():
        request.inputs[alias].CopyFrom(draw.one([typed, tf.make_tensor_proto])(value))
    return request


def same(answer: Answer, expected: Answer) -> bool:
    if isinstance(answer, str) or isinstance(expected, str):
        return answer == expected
    return answer.keys() == expected.keys() and all(
        identical(np.asarray(answer[name]), np.asarray(value)) for name, value in expected.items()
    )


def identical(one: np.ndarray, other: np.ndarray) -> bool:
    """In type, shape and values; a scalar string has its own length as its type, and sums may be zero or -0."""
    if one.dtype.kind in "OS":
        return one.shape == other.shape and one.tolist() == other.tolist()
    return one.dtype == other.dtype and (one.tobytes() == other.tobytes() or np.array_equal(one, other))


@pytest.mark.parametrize(
    "count", [SAMPLE, pytest.param(WHOLE, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])]
)
def test_generated_models_answer_as_a_session_does(count: int, tmp_path: Path) -> None:
    served = bool(SERVER) and (MODELS / f"generated_{count - 1}").is_dir()
    folder = MODELS if served else tmp_path
    signatures = {
        f"generated_{seed}": write_model(folder / f"generated_{seed}", seed) for seed in range(count)
    }
    wrong, outcomes = [], Counter[str]()
    with contextlib.ExitStack() as stack:
        if not served:
            config = ModelServerConfig()
            for model in signatures:
                config.model_config_list.config.add(
                    name=model, base_path=str(folder / model), model_platform="tensorflow"
                )
            engine = Engine(Options(port=0, poll_seconds=0))
            stack.callback(engine.stop, grace=0)
            engine.start(config)
        channel = stack.enter_context(grpc.insecure_channel(SERVER if served else engine.address))
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

        def answer(request: Request) -> Answer:
            try:
                outputs = stub.Predict(request, timeout=60).outputs
            except grpc.RpcError as error:
                return error.code().name
            return {name: values(proto) for name, proto in outputs.items()}

        for seed, (model, described) in enumerate(signatures.items()):
            draw = Draw(seed)
            session = Session(folder / model / "1", rewritten=served)
            for name, signature in described.items():
                for change in [None, *(draw.one(CHANGES) for _ in range(REQUESTS - 1))]:
                    request = request_of(model, name, signature, draw)
                    refused = change(request, draw, signature) if change else None
                    expected, got = refused or session.answer(request), answer(request)
                    outcomes[got if isinstance(got, str) else "answered"] += 1
                    if not same(got, expected):
                        wrong.append(
                            f"{model} {name} {change and change.__name__}: {got!r:.300}, not {expected!r:.300}"
                        )
            session.close()
    print(f"{count} models: {dict(outcomes)}")
    assert not wrong, "\n".join(wrong)
    assert outcomes["answered"] >= count
    assert outcomes["INVALID_ARGUMENT"] >= count
