"""A gRPC server in this process that speaks TensorFlow Serving's API."""

from __future__ import annotations

import collections
import contextlib
import functools
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import grpc

from ..errors import InvalidInput, ModelNotFound, ServingError, Unavailable
from ..limits import LARGEST_MESSAGE
from ..wire.described import VersionStatus
from . import answers
from .faults import Call, Fault, Full
from .model import Model

_AVAILABLE, _END = "AVAILABLE", "END"
_MOST_THREADS = 64
_LOOK = 0.02  # seconds between looks whether anybody still waits for an answer that is held back
_REMEMBERED = 1000  # calls

_SERVICES = (
    "tensorflow.serving.PredictionService",
    "tensorflow.serving.ModelService",
    "grpc.health.v1.Health",
)


class Server:
    """A model server on 127.0.0.1 for tests: real gRPC, the API and the words of TensorFlow Serving, no TensorFlow.

    Use it as a context manager, or `start` and `stop` it. Every method may be called while it runs.

    Args:
        models: a model, which is then version 1 of "model"; or versions by number, by the name of the model.
        port: of 127.0.0.1; by default any that is free.
        threads: as `--grpc_max_threads` of TensorFlow Serving: one less calls are worked on at a time, others are
            refused at once. By default any number.
        credentials: of a server that speaks TLS.

    Attributes:
        port: where it listens, also after it was stopped and started again.
        calls: the last 1000 calls, whatever became of them, health checks aside.
        most_at_once: the most calls that were worked on at the same time.
    """

    def __init__(
        self,
        models: Model | Mapping[str, Mapping[int, Model]] | None = None,
        *,
        port: int = 0,
        threads: int | None = None,
        credentials: grpc.ServerCredentials | None = None,
    ) -> None:
        if models is None or isinstance(models, Model):
            models = {"model": {1: models or Model()}}
        self.port = port
        self.calls: collections.deque[Call] = collections.deque(maxlen=_REMEMBERED)
        self.most_at_once = 0
        self._models = {name: dict(versions) for name, versions in models.items()}
        self._states = {
            name: {version: VersionStatus(version, _AVAILABLE) for version in versions}
            for name, versions in models.items()
        }
        self._labels: dict[tuple[str, str], int] = {}
        self._faults: list[_Planned] = []
        self._most = None if threads is None else threads - 1
        self._credentials = credentials
        self._working = 0
        self._lock = threading.Lock()
        self._server: grpc.Server | None = None
        self._stopped = threading.Event()

    @property
    def address(self) -> str:
        """What a client takes: `127.0.0.1:PORT`."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> Server:
        """Listen; at the same port when it was stopped before."""
        self._stopped = threading.Event()
        options = [
            ("grpc.max_receive_message_length", LARGEST_MESSAGE),
            ("grpc.max_send_message_length", LARGEST_MESSAGE),
            ("grpc.so_reuseport", 0),
        ]
        self._pool = _Pool(_MOST_THREADS, "slimserve.testing")
        self._server = grpc.server(self._pool, options=options)
        models = {
            method: grpc.unary_unary_rpc_method_handler(functools.partial(self._handle, method))
            for method in _ANSWERS
        }
        health = {
            "Check": grpc.unary_unary_rpc_method_handler(_check),
            "Watch": grpc.unary_stream_rpc_method_handler(self._watch),
        }
        for service, handlers in zip(_SERVICES, (models, models, health), strict=True):
            handler = grpc.method_handlers_generic_handler(service, handlers)
            self._server.add_generic_rpc_handlers((handler,))
        if self._credentials:
            self.port = self._server.add_secure_port(self.address, self._credentials)
        else:
            self.port = self._server.add_insecure_port(self.address)
        self._server.start()
        return self

    def stop(self) -> None:
        """End at once: the port closes, and calls in flight are UNAVAILABLE."""
        if self._server:
            ended = self._server.stop(None)
            self._stopped.set()
            ended.wait()
            self._pool.shutdown()
            self._server = None

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(self, *raised: object) -> None:
        self.stop()

    def serve(self, model: str, version: int, answers: Model, state: str = _AVAILABLE) -> None:
        """Serve a version, or put it into a state such as LOADING, in which it answers nothing yet."""
        self._models.setdefault(model, {})[version] = answers
        self._states.setdefault(model, {})[version] = VersionStatus(version, state)

    def withdraw(self, model: str, version: int) -> None:
        """Serve a version no more: its state is END, and calls for it are answered NOT_FOUND."""
        self._states[model][version] = VersionStatus(version, _END)

    def label(self, model: str, label: str, version: int) -> None:
        """Give a version a label."""
        self._labels[model, label] = version

    def fail(self, fault: Fault, *, times: int | None = None, method: str = "", signature: str = "") -> None:
        """Do what `fault` does to the calls that come: to so many, else until `heal`.

        Several faults come one after the other. `method` and `signature` name the only calls that it is for.
        """
        with self._lock:
            self._faults.append(_Planned(fault, times, method, signature))

    def heal(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._faults.clear()

    def _watch(self, data: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        yield _check(data, context)
        while context.is_active() and not self._stopped.wait(_LOOK):
            pass

    def _handle(self, method: str, data: bytes, context: grpc.ServicerContext) -> bytes:
        """Answer a call; its status is that of the ServingError which stands in the way."""
        with self._at_work() as is_full:
            try:
                request = answers.read_request(method, data)
                call = self._call(method, request, context)
                self.calls.append(call)
                if is_full:
                    Full()(call)
                for fault in self._faults_for(call):
                    fault(call)
                return _ANSWERS[method](self, call, request)
            except ServingError as error:
                context.abort(error.code, str(error))

    @contextlib.contextmanager
    def _at_work(self) -> Iterator[bool]:
        """Count a call; whether it is one too many."""
        with self._lock:
            self._working += 1
            is_full = self._most is not None and self._working > self._most
            self.most_at_once = max(self.most_at_once, self._working - is_full)
        try:
            yield is_full
        finally:
            with self._lock:
                self._working -= 1

    def _faults_for(self, call: Call) -> list[Fault]:
        with self._lock:
            planned = [each for each in self._faults if each.is_for(call)]
            for each in planned:
                each.left = None if each.left is None else each.left - 1
            self._faults = [each for each in self._faults if each.left != 0]
        return [each.fault for each in planned]

    def _call(self, method: str, request: Any, context: grpc.ServicerContext) -> Call:
        spec = request.model_spec
        stopped = self._stopped

        def wait(until: float | threading.Event) -> None:
            event, seconds = (until, math.inf) if isinstance(until, threading.Event) else (stopped, until)
            end = time.monotonic() + seconds
            while not stopped.is_set() and context.is_active() and (left := end - time.monotonic()) > 0:
                if event.wait(min(left, _LOOK)):
                    break
            if stopped.is_set():
                raise Unavailable("Stream removed")

        signature = spec.signature_name or "serving_default" if method == "Predict" else ""
        version = spec.version.value if spec.HasField("version") else None
        metadata = dict(context.invocation_metadata())
        return Call(method, spec.name, version, spec.version_label, signature, metadata, wait)

    def _find(self, call: Call) -> tuple[int, Model]:
        """Choose the version that a call means. Raises what TensorFlow Serving says where there is none."""
        if not call.model:
            raise InvalidInput("ModelSpec has no name specified.")
        served = [
            each.version for each in self._states.get(call.model, {}).values() if each.state == _AVAILABLE
        ]
        version = call.version
        if call.version_label:
            version = self._labels.get((call.model, call.version_label))
            if version is None:
                raise InvalidInput(f"Unrecognized servable version label: {call.version_label}")
        if version is None and served:
            version = max(served)
        if version not in served:
            which = f"Latest({call.model})" if version is None else f"Specific({call.model}, {version})"
            raise ModelNotFound(f"Servable not found for request: {which}")
        return version, self._models[call.model][version]

    def _predict(self, call: Call, request: Any) -> bytes:
        version, model = self._find(call)
        outputs = model.answer(call.signature, answers.read_inputs(request))
        wanted = list(request.output_filter) or list(outputs)
        if unknown := [name for name in wanted if name not in outputs]:
            raise InvalidInput(
                f"output tensor alias not found in signature: {unknown[0]} "
                f"Outputs expected to be in the set {{{','.join(sorted(outputs))}}}."
            )
        kept = {name: outputs[name] for name in wanted}
        return answers.predict_answer(call.model, version, call.signature, kept)

    def _get_model_metadata(self, call: Call, request: Any) -> bytes:
        version, model = self._find(call)
        return answers.metadata_answer(call.model, version, model.specs())

    def _get_model_status(self, call: Call, request: Any) -> bytes:
        states = self._states.get(call.model, {})
        if not states:
            raise ModelNotFound(f"Could not find any versions of model {call.model}")
        if call.version is not None and call.version not in states:
            raise ModelNotFound(f"Could not find version {call.version} of model {call.model}")
        return answers.status_answer(
            [state for version, state in states.items() if call.version in (None, version)]
        )


_ANSWERS: dict[str, Callable[[Server, Call, Any], bytes]] = {
    "Predict": Server._predict,
    "GetModelMetadata": Server._get_model_metadata,
    "GetModelStatus": Server._get_model_status,
}


class _Pool(ThreadPoolExecutor):
    """Threads that can be ended while gRPC still hands it a call: it does where a client calls as the server stops."""

    def submit(self, *arguments: Any, **options: Any) -> Future[Any]:
        try:
            return super().submit(*arguments, **options)
        except RuntimeError:  # it is shut down
            dropped: Future[Any] = Future()
            dropped.cancel()
            return dropped


class _Planned:
    """A fault, the calls that it is for, and how many of them are left."""

    def __init__(self, fault: Fault, left: int | None, method: str, signature: str) -> None:
        self.fault = fault
        self.left = left
        self._method = method
        self._signature = signature

    def is_for(self, call: Call) -> bool:
        return self._method in ("", call.method) and self._signature in ("", call.signature)


def _check(data: bytes, context: grpc.ServicerContext) -> bytes:
    """Say SERVING of the server as a whole, and nothing else of anything."""
    if answers.read_request("HealthCheck", data).service:
        context.abort(grpc.StatusCode.NOT_FOUND, "service name unknown")
    return answers.health_answer()
