"""Real gRPC servers whose answers a test decides, for what no model server can be made to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import grpc
import numpy as np
import pytest
from slimserve.testing import Server
from slimserve.wire.protocol import PredictResponse

from tests.unit.client.numbered_pictures import numbered_server

PREDICT = "/tensorflow.serving.PredictionService/Predict"
GET_MODEL_METADATA = "/tensorflow.serving.PredictionService/GetModelMetadata"
GET_MODEL_STATUS = "/tensorflow.serving.ModelService/GetModelStatus"
Answer = Callable[[bytes, grpc.ServicerContext], bytes]


class ScriptedServer(grpc.GenericRpcHandler):
    """A gRPC server that answers each method as a function of the test says; `calls` lists the methods called."""

    def __init__(
        self, credentials: grpc.ServerCredentials | None = None, port: int = 0, largest_request: int = -1
    ) -> None:
        self.answers: dict[str, Answer] = {}
        self.calls: list[str] = []
        self.metadata: list[dict[str, Any]] = []
        options = [("grpc.max_receive_message_length", largest_request), ("grpc.max_send_message_length", -1)]
        self.server = grpc.server(futures.ThreadPoolExecutor(8), options=[*options, ("grpc.so_reuseport", 0)])
        self.server.add_generic_rpc_handlers((self,))
        address = f"127.0.0.1:{port}"
        self.port = (
            self.server.add_secure_port(address, credentials)
            if credentials
            else self.server.add_insecure_port(address)
        )
        self.server.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        method = handler_call_details.method
        if method not in self.answers:
            return None

        def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
            self.calls.append(method)
            self.metadata.append(dict(context.invocation_metadata()))
            return self.answers[method](request, context)

        return grpc.unary_unary_rpc_method_handler(answer)

    def close(self) -> None:
        self.server.stop(0).wait()


@pytest.fixture
def scripted() -> Iterator[Callable[..., ScriptedServer]]:
    """Starts scripted servers that end with the test."""
    started: list[ScriptedServer] = []

    def start(**options: Any) -> ScriptedServer:
        started.append(ScriptedServer(**options))
        return started[-1]

    yield start
    for server in started:
        server.close()


def refusing(code: grpc.StatusCode, details: str = "") -> Answer:
    """An answer that is that status."""

    def refuse(request: bytes, context: grpc.ServicerContext) -> bytes:
        context.abort(code, details)

    return refuse


DTYPES = {"float32": 1, "float64": 2, "int32": 3, "uint8": 4, "int64": 9, "uint16": 17}  # types.proto


def predict_answer(model_version: int = 1, **outputs: Any) -> bytes:
    """A PredictResponse; numbers in lists are of 32 bits, as TensorFlow makes them."""
    response = PredictResponse(model_spec={"version": {"value": model_version}})
    for name, value in outputs.items():
        array = np.asarray(value)
        if isinstance(value, list) and array.dtype.kind in "if":
            array = array.astype(f"{array.dtype.kind}4")
        tensor = response.outputs[name]
        for size in array.shape:
            tensor.tensor_shape.dim.add(size=size)
        if array.dtype.kind in "OSU":
            tensor.dtype = 7
            strings = np.asarray(value, object).ravel().tolist()
            tensor.string_val.extend(
                string.encode() if isinstance(string, str) else string for string in strings
            )
        else:
            tensor.dtype, tensor.tensor_content = DTYPES[array.dtype.name], array.tobytes()
    return response.SerializeToString()


@pytest.fixture
def scene_pixels() -> np.ndarray:
    """uint8 [48,64,3]: something with structure, from a fixed seed."""
    generator = np.random.default_rng(20)
    return np.kron(generator.integers(0, 256, (6, 8, 3), np.uint8), np.ones((8, 8, 1), np.uint8))


@pytest.fixture
def numbered() -> Iterator[Server]:
    """A model that finds the number of a picture."""
    with numbered_server() as server:
        yield server
