"""One version of one model in memory: a TensorFlow session and the signatures of its SavedModel."""

import gc
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2

from .. import rpc_error
from .tensors import Array

# One per combination of inputs and outputs: as many as signatures, more only through output_filter.
_MAX_CALLABLES = 256


class Servable:
    """A loaded SavedModel. `run` may be called from any number of threads.

    Raises:
        RpcError: TensorFlow could not load the SavedModel in `path`; code and message are TensorFlow's.
    """

    def __init__(self, name: str, version: int, path: Path, threads: int = 0) -> None:
        self.name = name
        self.version = version
        self.path = path
        self._graph = tf.Graph()
        options = config_pb2.ConfigProto(intra_op_parallelism_threads=threads)
        # For each signature TensorFlow would rewrite the graph, for seconds. Exports for x86 run no faster for it, and
        # ask TensorFlow Serving to do without (assets.extra/saved_model_config.pb). Portable ones do, as their nodes
        # are not fused here: a MobileNet by a tenth. Trials start often and call little.
        options.graph_options.rewrite_options.disable_meta_optimizer = True
        self._session = tf.compat.v1.Session(graph=self._graph, config=options)
        self._callables: OrderedDict[tuple[tuple[str, ...], ...], Any] = OrderedDict()
        self._lock = threading.Lock()
        try:
            with self._graph.as_default():
                meta_graph = tf.compat.v1.saved_model.loader.load(
                    self._session, [tf.saved_model.SERVING], str(path)
                )
        except Exception as error:
            self.close()
            raise _load_error(error, (path / "saved_model.pb").exists()) from error
        self.signatures: Mapping[str, meta_graph_pb2.SignatureDef] = meta_graph.signature_def

    def run(self, feeds: Mapping[str, Array], fetches: Sequence[str]) -> list[Any]:
        """The values of the tensors named `fetches`, computed from `feeds`, arrays by tensor name.

        Shapes are not checked, as TensorFlow Serving does not check them; data types are.

        Raises:
            RpcError: with TensorFlow's code and message.
        """
        names = tuple(sorted(feeds))
        for index, name in enumerate(names):
            expected, given = self.dtype(name), tf.as_dtype(feeds[name].dtype)
            if expected != given:
                raise rpc_error.invalid_argument(
                    f"Expects arg[{index}] to be {_name(expected)} but {_name(given)} is provided"
                )
        unique = tuple(dict.fromkeys(fetches))
        try:
            values = self._callable(names, unique)(*(feeds[name] for name in names))
        except tf.errors.OpError as error:
            raise rpc_error.from_number(error.error_code, error.message) from error
        return [values[unique.index(name)] for name in fetches]

    def dtype(self, tensor_name: str) -> tf.DType:
        """The data type of a tensor of the graph."""
        return self._graph.get_tensor_by_name(tensor_name).dtype.base_dtype

    def close(self) -> None:
        """Free the session; nothing may be running in it."""
        self._callables.clear()
        self._session.close()
        del self._session, self._graph
        gc.collect()

    def _callable(self, feeds: tuple[str, ...], fetches: tuple[str, ...]) -> Any:
        # Session.run checks shapes before the graph sees them and rewrites error messages; the callable that
        # Keras is built on does neither, and prepares feeds and fetches once.
        with self._lock:
            made = self._callables.get((feeds, fetches))
            if made is None:
                options = config_pb2.CallableOptions(feed=feeds, fetch=fetches)
                made = self._session._make_callable_from_options(options)
                self._callables[feeds, fetches] = made
            self._callables.move_to_end((feeds, fetches))
            if len(self._callables) > _MAX_CALLABLES:
                self._callables.popitem(last=False)
            return made


def _name(dtype: tf.DType) -> str:
    """The name that TensorFlow's C++ side prints: float, not float32."""
    return str(types_pb2.DataType.Name(dtype.as_datatype_enum)).removeprefix("DT_").lower()


def _load_error(error: Exception, is_there: bool) -> rpc_error.RpcError:
    """TensorFlow's own error, and for a graph that cannot be read the code that TensorFlow Serving gives."""
    if isinstance(error, tf.errors.OpError):
        # TensorFlow's Python puts something before it.
        message = re.sub(r"(?s).*\nNode: '[^\n]*'\n", "", error.message)
        return rpc_error.from_number(error.error_code, message)
    if isinstance(error, OSError) and is_there:
        return rpc_error.RpcError(grpc.StatusCode.DATA_LOSS, str(error))
    if isinstance(error, (OSError, RuntimeError)):  # no graph, or none with the tag
        return rpc_error.not_found(str(error))
    return rpc_error.invalid_argument(f"{type(error).__name__}: {error}")
