"""Replay of the recorded requests in a SavedModel before its version is made available.

The file and its limit are TensorFlow Serving's (saved_model_warmup_util.cc):
assets.extra/tf_serving_warmup_requests, TFRecords of PredictionLog, at most 1000.
"""

from pathlib import Path

import tensorflow as tf
from google.protobuf.message import DecodeError

from ...server.protocol import PredictionLog
from .. import rpc_error
from .classify import classify
from .predict import predict
from .servable import Servable

WARMUP_REQUESTS = Path("assets.extra", "tf_serving_warmup_requests")
_MAX_RECORDS = 1000


def replay(servable: Servable) -> int:
    """Answer every recorded request once; how many there were.

    Raises:
        RpcError: the file is damaged, holds too many records or ones of a kind the engine does not serve,
            or a request in it fails: the version is not fit to serve.
    """
    path = servable.path / WARMUP_REQUESTS
    if not path.exists():
        return 0
    count = 0
    try:
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            count += 1
            if count > _MAX_RECORDS:
                raise rpc_error.invalid_argument(
                    f"Number of warmup records exceeds the maximum ({_MAX_RECORDS}) at {path}"
                )
            _answer(servable, PredictionLog.FromString(record))
    except tf.errors.OpError as error:
        raise rpc_error.from_number(error.error_code, error.message) from error
    except DecodeError as error:
        raise rpc_error.invalid_argument(f"Failed to parse warmup record {count} from {path}") from error
    return count


def _answer(servable: Servable, record: PredictionLog) -> None:
    kind = record.WhichOneof("log_type")
    if kind == "predict_log":
        predict(servable, record.predict_log.request, tensor_content=False)
    elif kind == "classify_log":
        classify(servable, record.classify_log.request)
    elif kind is not None:
        raise rpc_error.from_number(12, f"Unsupported log_type for warmup: {kind}")
