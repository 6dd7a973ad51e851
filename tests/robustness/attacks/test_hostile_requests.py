"""Requests of any bytes to every method of the embedded engine: each ends with an answer or a status."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    predict_pb2,
)

from tests.robustness.attacks.fuzzing import fuzz
from tests.robustness.attacks.wire_messages import damaged, message
from tests.support.recorded import RECORDED, recorded_cases
from tests.support.serving import Serving

DEADLINE = 20.0  # seconds; the models answer in milliseconds
PREDICTION, MODEL = "/tensorflow.serving.PredictionService/", "/tensorflow.serving.ModelService/"
RELOAD, HEALTH = MODEL + "HandleReloadConfigRequest", "/grpc.health.v1.Health/Check"
REQUESTS: dict[str, type[Message]] = {
    PREDICTION + "Predict": predict_pb2.PredictRequest,
    PREDICTION + "Classify": classification_pb2.ClassificationRequest,
    PREDICTION + "GetModelMetadata": get_model_metadata_pb2.GetModelMetadataRequest,
    MODEL + "GetModelStatus": get_model_status_pb2.GetModelStatusRequest,
    HEALTH: health_pb2.HealthCheckRequest,
    RELOAD: model_management_pb2.ReloadConfigRequest,
}
REQUESTS_RECORDED = {
    method: [case.request for case in recorded_cases() if case.rpc == method] for method in REQUESTS
}


def words_of(kind: type[Message], request: bytes, words: dict[str, list[bytes]]) -> None:
    """Collect the strings of a recorded request by the names of their fields."""

    def collect(given: Message) -> None:
        for field, value in given.ListFields():
            if field.message_type and field.message_type.GetOptions().map_entry:
                words.setdefault("key", []).extend(key.encode() for key in value)
                for entry in value.values():
                    if isinstance(entry, Message):
                        collect(entry)
                continue
            for one in value if field.is_repeated else [value]:
                if isinstance(one, Message):
                    collect(one)
                elif isinstance(one, (str, bytes)):
                    words.setdefault(field.name, []).append(one.encode() if isinstance(one, str) else one)

    collect(kind.FromString(request))


def known_words(models: Path) -> dict[str, list[bytes]]:
    """What the recorded requests say, and where the models are."""
    words: dict[str, list[bytes]] = {}
    for method, requests in REQUESTS_RECORDED.items():
        for request in requests:
            words_of(REQUESTS[method], request, words)
    paths = [models / name for name in ("affine", "images", "classifier", "missing")]
    words["base_path"] = [
        *(str(path).encode() for path in paths),
        b"",
        b"relative",
        bytes(str(models), "utf8"),
    ]
    words["model_platform"] = [b"tensorflow"] * 3 + [b"", b"other"]
    words["service"] = [b"", b"PredictionService", b"ModelService", b"other"]
    return words


class Target:
    """An engine with the models of the recorded cases, in a process of its own, under attack."""

    def __init__(self, folder: Path) -> None:
        self.models = folder / "models"
        shutil.copytree(RECORDED / "models", self.models)
        config = folder / "models.config"
        config.write_text((RECORDED / "models.config").read_text().replace("MODELS", str(self.models)))
        self.words = known_words(self.models)
        self.server = Serving("--engine", "embedded", "--models-config", config, "--port", 0)
        self.channel = self.server.channel()
        self.outcomes: Counter[str] = Counter()

    def request(self, source: random.Random, method: str) -> bytes:
        """A request that the method may or may not understand."""
        descriptor: Descriptor = REQUESTS[method].DESCRIPTOR
        if REQUESTS_RECORDED[method] and source.random() < 0.5:
            data = source.choice(REQUESTS_RECORDED[method])
            if source.random() < 0.3:
                data += source.choice(
                    [source.choice(REQUESTS_RECORDED[method]), message(source, descriptor, self.words)]
                )
            return damaged(source, data)
        return damaged(source, message(source, descriptor, self.words))

    def send(self, method: str, data: bytes) -> str:
        """Send the bytes as they are; the name of the status."""
        try:
            self.channel.unary_unary(method)(data, timeout=DEADLINE)
        except grpc.RpcError as error:
            return error.code().name
        return "OK"

    def check(self, method: str, data: bytes) -> None:
        outcome = self.send(method, data)
        self.outcomes[outcome] += 1
        assert outcome not in ("DEADLINE_EXCEEDED", "UNAVAILABLE", "CANCELLED"), outcome

    def close(self) -> None:
        self.channel.close()
        self.server.close()


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    started = Target(tmp_path_factory.mktemp("engine"))
    yield started
    started.close()


SAMPLE = {"Predict": 600, "Classify": 300, "HandleReloadConfigRequest": 100}
COUNTS = [
    pytest.param(method, SAMPLE.get(method.split("/")[-1], 150), 6, id=method.split("/")[-1])
    for method in REQUESTS
] + [
    pytest.param(method, count, 7, id=f"soak-{method.split('/')[-1]}", marks=pytest.mark.soak)
    for method, count in zip(REQUESTS, (9000, 5000, 2000, 2000, 1000, 1000), strict=True)
]


@pytest.mark.parametrize(("method", "count", "seed"), COUNTS)
def test_requests_of_any_bytes_end_with_a_status(target: Target, method: str, count: int, seed: int) -> None:
    target.outcomes.clear()
    fuzz(
        lambda source: target.request(source, method),
        lambda data: target.check(method, data),
        count,
        seed,
    )
    print(method, dict(target.outcomes))
    assert target.server.process.poll() is None
    assert "Traceback" not in target.server.stderr()
