"""A model that sees colours, images with a truth, and `evaluate` on them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from PIL import Image
from slimserve.cli.main import main
from slimserve.wire.protocol import (
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    PredictRequest,
    SignatureDefMap,
)

from tests.unit.client.conftest import GET_MODEL_METADATA, PREDICT, ScriptedServer, predict_answer

CLASSES = ("red", "green", "blue", "white", "black", "gray")
COLOURS = ((200, 0, 0), (0, 200, 0), (0, 0, 200), (250, 250, 250), (0, 0, 0), (128, 128, 128))
Start = Callable[..., ScriptedServer]
Run = Callable[..., dict[str, Any]]


class Model:
    """Sees colours. `confuses` gives what a class is taken for, by version; `images` are those it was asked."""

    def __init__(self, server: ScriptedServer) -> None:
        self.server, self.address = server, server.address
        self.newest = 1
        self.names = CLASSES
        self.confuses: dict[int, dict[int, int]] = {1: {}, 2: {}}
        self.images = 0
        self.fails_at = -1
        server.answers = {PREDICT: self.predict, GET_MODEL_METADATA: self.describe}

    def _version(self, request: Any) -> int:
        asked: int = request.model_spec.version.value
        return asked or self.newest

    def describe(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        version = self._version(GetModelMetadataRequest.FromString(request))
        signatures = SignatureDefMap()
        shape = signatures.signature_def["classify"].outputs["probabilities"].tensor_shape
        for size in (-1, len(CLASSES)):
            shape.dim.add(size=size)
        response = GetModelMetadataResponse(model_spec={"version": {"value": version}})
        response.metadata["signature_def"].value = signatures.SerializeToString()
        return bytes(response.SerializeToString())

    def predict(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        asked = PredictRequest.FromString(request)
        version = self._version(asked)
        signature = asked.model_spec.signature_name
        if signature == "labels":
            ids = np.frombuffer(asked.inputs["class_ids"].tensor_content, np.int32)
            return predict_answer(version, class_names=[self.names[id] for id in ids])
        self.images += 1
        if self.images == self.fails_at:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "this one is refused")
        (encoded,) = asked.inputs["image_bytes"].string_val
        pixels = np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB")).astype(int)
        away = np.abs(pixels[:, :, None] - np.array(COLOURS)).sum(-1)
        labels = away.argmin(-1).astype(np.uint8)
        confuses = self.confuses[version]
        labels = np.array([confuses.get(id, id) for id in range(len(CLASSES))], np.uint8)[labels]
        if signature == "segment_bytes":
            file = io.BytesIO()
            Image.fromarray(labels).save(file, "PNG")
            return predict_answer(version, label_png=[file.getvalue()])
        counts = np.bincount(labels.ravel(), minlength=len(CLASSES))
        ids = np.argsort(-counts, kind="stable")
        probabilities = (counts / counts.sum()).astype(np.float32)
        return predict_answer(
            version,
            class_ids=ids[None, :5].astype(np.int32),
            class_names=[[CLASSES[id] for id in ids[:5]]],
            scores=probabilities[None, ids[:5]],
            probabilities=probabilities[None],
        )


@pytest.fixture
def model(scripted: Start) -> Model:
    return Model(scripted())


@pytest.fixture
def run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, model: Model
) -> Run:
    """Evaluate; the object of --json, with what was said as `said`."""
    monkeypatch.chdir(tmp_path)

    def run(truth: str, *options: str, status: int = 0) -> dict[str, Any]:
        capsys.readouterr()
        model.images = 0
        words = ["evaluate", "photos", "--truth", truth, "--server", model.address, "--json", *options]
        assert main(words) == status
        output = capsys.readouterr()
        return {**json.loads(output.out or "{}"), "said": output.err}

    return run


@pytest.fixture
def colours(tmp_path: Path) -> Path:
    """Six images of one colour each, called after their classes, and their truth: a table, and folders."""
    (tmp_path / "photos").mkdir()
    for name, colour in zip(CLASSES, COLOURS, strict=True):
        Image.new("RGB", (8, 6), colour).save(tmp_path / "photos" / f"{name}.png")
    (tmp_path / "truth.csv").write_text("".join(f"{name}.png,{name}\n" for name in CLASSES))
    return tmp_path


@pytest.fixture
def flags(tmp_path: Path) -> dict[str, np.ndarray]:
    """Four images of stripes of classes 0, 1 and 2, and their label maps, in which a corner is ignored."""
    random = np.random.default_rng(3)
    truths = {}
    for folder in ("photos", "maps"):
        (tmp_path / folder).mkdir()
    for name in "abcd":
        labels = np.repeat(random.integers(0, 3, (1, 8)), 5, axis=1).repeat(30, axis=0).astype(np.uint8)
        Image.fromarray(np.array(COLOURS, np.uint8)[labels]).save(tmp_path / "photos" / f"{name}.png")
        truth = labels.copy()
        truth[:10, :10] = 255
        Image.fromarray(truth).save(tmp_path / "maps" / f"{name}.png")
        truths[name] = truth
    return truths
