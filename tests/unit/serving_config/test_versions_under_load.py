"""Under a steady load of small requests, moving labels loses none of them."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
import tensorflow as tf
from google.protobuf import text_format
from slimserve.serving_config.cli import main
from tensorflow_serving.apis import predict_pb2

from tests.unit.serving_config.engine_calls import AFFINE, WAIT, connect, listing, publish

# y = (version + 1) * x + 1, so that an answer tells which version computed it.
ANSWERS = {3.0: 1, 4.0: 2, 5.0: 3}


@dataclass
class Load:
    """Threads that ask `stable`, one request after the other, until told to stop."""

    address: str
    begun_and_version: list[tuple[float, int]] = field(default_factory=list)
    failures: list[grpc.RpcError] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> None:
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "affine"
        request.model_spec.version_label = "stable"
        request.inputs["x"].CopyFrom(tf.make_tensor_proto([1.0]))
        caller = connect(self.address)
        with caller.channel:
            while not self.stopped.is_set():
                begun = time.monotonic()
                try:
                    response = caller.prediction.Predict(request, timeout=WAIT)
                except grpc.RpcError as error:
                    self.failures.append(error)
                    continue
                version = response.model_spec.version.value
                assert ANSWERS[tf.make_ndarray(response.outputs["y"]).item()] == version
                self.begun_and_version.append((begun, version))

    def versions(self) -> set[int]:
        return {version for _, version in self.begun_and_version}


@pytest.fixture
def deployed(serving: Callable, tmp_path: Path) -> tuple[str, Path]:
    """A process that serves version 1 as stable, and its models.config."""
    publish(tmp_path / "affine", 1, AFFINE / "1")
    file = tmp_path / "models.config"
    file.write_text(text_format.MessageToString(listing(tmp_path / "affine", 1, labels={"stable": 1})))
    server = serving("--engine", "embedded", "--models-config", file, "--port", 0)
    return server.address, file


def test_no_request_is_lost_and_no_unloaded_version_answers(
    deployed: tuple[str, Path], tmp_path: Path
) -> None:
    address, file = deployed
    load = Load(address)
    with ThreadPoolExecutor(4) as pool:
        threads = [pool.submit(load.ask) for _ in range(4)]
        try:
            publish(tmp_path / "affine", 2, AFFINE / "2")
            publish(tmp_path / "affine", 3, AFFINE / "3")
            for words in (["promote", "2"], ["rollback"], ["promote", "2"], ["rollback"], ["promote", "2"]):
                time.sleep(0.2)
                assert main([*words, "--server", address, "--models-config", str(file)]) == 0
            assert main(["promote", "3", "--server", address, "--models-config", str(file)]) == 0
            caller = connect(address)
            caller.wait_for("affine", {3: "AVAILABLE", 2: "AVAILABLE", 1: "END"})
            unloaded = time.monotonic()
            time.sleep(0.3)
        finally:
            load.stopped.set()
    for thread in threads:
        thread.result()
    assert load.failures == []
    assert load.versions() == {1, 2, 3}
    assert {version for begun, version in load.begun_and_version if begun > unloaded} == {3}
