"""What the engine's tests share: small models on disk, lists of models, and the official stubs."""

import shutil
import time
from pathlib import Path

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2_grpc,
)
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from tests.support.recorded import RECORDED

AFFINE = RECORDED / "models" / "affine"
State = get_model_status_pb2.ModelVersionStatus.State
WAIT = 30.0


def publish(base_path: Path, version: int, source: Path) -> None:
    """Copy a version under a name that is no number, then rename it."""
    base_path.mkdir(exist_ok=True)
    shutil.copytree(source, base_path / f".tmp-{version}")
    (base_path / f".tmp-{version}").rename(base_path / str(version))


def write_slow_model(path: Path) -> None:
    """A model that counts to `steps`: about a second for every 200,000."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        steps = tf.compat.v1.placeholder(tf.int32, [], "steps")
        counted = tf.while_loop(
            lambda i: i < steps, lambda i: (i + 1,), [tf.constant(0)], parallel_iterations=1
        )
        signature = tf.compat.v1.saved_model.predict_signature_def({"steps": steps}, {"counted": counted[0]})
        builder = tf.compat.v1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()


def write_warmup(version: Path, key: str, *values: object) -> None:
    """Record Predict requests, each with one input, for replay when the version is loaded."""
    (version / "assets.extra").mkdir()
    with tf.io.TFRecordWriter(str(version / "assets.extra" / "tf_serving_warmup_requests")) as writer:
        for value in values:
            log = prediction_log_pb2.PredictionLog()
            log.predict_log.request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
            writer.write(log.SerializeToString())


def connect(address: str) -> "Caller":
    """In plaintext, for messages of any size."""
    options = [("grpc.max_receive_message_length", -1)]
    return Caller(grpc.insecure_channel(address, options=options), address)


class Caller:
    """The official stubs over one channel."""

    def __init__(self, channel: grpc.Channel, address: str = "") -> None:
        self.address = address
        self.channel = channel
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(self.channel)

    def predict(
        self, model: str, values: object, key: str = "x", timeout: float = WAIT, **spec: object
    ) -> np.ndarray:
        request = predict_request(model, values, key, **spec)
        response = self.prediction.Predict(request, timeout=timeout)
        name = "y" if "y" in response.outputs else "counted"
        return tf.make_ndarray(response.outputs[name])

    def states(self, model: str) -> dict[int, str]:
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = model
        statuses = self.models.GetModelStatus(request, timeout=WAIT).model_version_status
        return {status.version: State.Name(status.state) for status in statuses}

    def wait_for(self, model: str, states: dict[int, str]) -> None:
        end = time.monotonic() + WAIT
        while self.states(model) != states:
            assert time.monotonic() < end, self.states(model)
            time.sleep(0.02)

    def reload(self, config: ModelServerConfig) -> None:
        request = model_management_pb2.ReloadConfigRequest()
        request.config.ParseFromString(config.SerializeToString())
        self.models.HandleReloadConfigRequest(request, timeout=WAIT)


def predict_request(model: str, values: object, key: str = "x", **spec: object) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    if "version" in spec:
        request.model_spec.version.value = spec["version"]
    if "label" in spec:
        request.model_spec.version_label = spec["label"]
    request.inputs[key].CopyFrom(tf.make_tensor_proto(values))
    return request


def listing(
    base_path: Path | str, *versions: int, policy: str = "", labels: dict[str, int] | None = None
) -> ModelServerConfig:
    """A list of one model, affine."""
    config = ModelServerConfig()
    model = config.model_config_list.config.add(
        name="affine", base_path=str(base_path), model_platform="tensorflow"
    )
    if policy == "all":
        model.model_version_policy.all.SetInParent()
    elif policy == "latest 2":
        model.model_version_policy.latest.num_versions = 2
    elif versions:
        model.model_version_policy.specific.versions.extend(versions)
    for label, version in (labels or {}).items():
        model.version_labels[label] = version
    return config
