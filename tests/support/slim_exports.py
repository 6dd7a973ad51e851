"""Exports of checkpoints that tf-slim's own graphs wrote, what tf-slim says with the same weights, and their server."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from slimserve import Client
from slimserve.export.cli.report import report
from slimserve.export.networks import NETWORKS, Network
from slimserve.export.pipeline import export_checkpoint
from slimserve.export.plan.options import Request
from tensorflow_serving.apis import classification_pb2, prediction_service_pb2_grpc

from tests.conftest import ROOT, run_module
from tests.support import slim_preprocessing as reference
from tests.support.numpy_reference import network_rounding
from tests.support.slim_checkpoints import SlimNetwork

CLASSES = 7


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Coarse blobs under noise, uint8 [H, W, 3]."""
    rng = np.random.default_rng(seed)
    blobs = np.kron(rng.integers(0, 256, (height // 40 + 1, width // 40 + 1, 3)), np.ones((40, 40, 1)))
    return np.clip(blobs[:height, :width] + rng.normal(0, 20, (height, width, 3)), 0, 255).astype(np.uint8)


IMAGE = noise(250, 310)


def square(network: Network) -> np.ndarray:
    """An image whose crop slim takes without resizing it, so that not even rounding differs."""
    side = reference.untouched_side(network)
    return noise(side, side, 1)


@dataclass(frozen=True)
class Exported:
    """A network's export, and what tf-slim says with the same weights.

    Attributes:
        report: what the export says of itself.
        crops: logits float32 [C] of the crops of `square` and of IMAGE.
        cells: logits [h, w, C] of all of IMAGE, padded; None where the network only classifies.
        rounding: largest difference of two logits that float32 explains, as a fraction of the largest.
    """

    network: Network
    report: dict[str, Any]
    crops: tuple[np.ndarray, np.ndarray]
    cells: np.ndarray | None
    rounding: float

    @property
    def folder(self) -> Path:
        """The model's."""
        return Path(self.report["path"]).parent


Export = Callable[[Path, Path], dict[str, Any]]
"""Takes the checkpoint and the folder to write, gives the report."""


def in_this_process(checkpoint: Path, out: Path) -> dict[str, Any]:
    return report(export_checkpoint(Request(checkpoint, out)))


def by_command(checkpoint: Path, out: Path, *options: str) -> dict[str, Any]:
    result = run_module("export", "--ckpt", checkpoint, "--out", out, "--json", *options)
    assert result.returncode == 0, result.stderr
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def exported(name: str, folder: Path, export: Export) -> Exported:
    network = NETWORKS[name]
    images = [reference.central_crop(image, network) for image in (square(network), IMAGE)]
    if network.segments:
        images.append(reference.padded(IMAGE, network))
    with SlimNetwork(network, CLASSES) as slim:
        checkpoint = slim.save(folder / f"{name}.ckpt")
        *crops, cells = slim.logits(images) if network.segments else (*slim.logits(images), None)
        rounding = 2 * network_rounding(slim.shapes())
    first, second = (crop.mean(axis=(0, 1)) for crop in crops)
    return Exported(network, export(checkpoint, folder / name), (first, second), cells, rounding)


class Served:
    """Exports behind one engine, a process of its own."""

    def __init__(self, exports: dict[str, Exported]) -> None:
        command = [sys.executable, "-m", "serving_config", "up", "--engine", "embedded", "--port", "0"]
        for name, one in exports.items():
            command += ["--model", f"{name}={one.folder}"]
        self.exports = exports
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.address = ""
        for line in self._process.stdout:
            if ready := re.match(r"ready: .* on (\S+)", line):
                self.address = ready[1]
                break
        assert self.address, "the engine ended before it was ready"

    def call(self, name: str, signature: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        with Client(self.address, model=name, timeout=300) as client:
            return dict(client.predict(inputs, signature=signature))

    def classify_examples(self, name: str, image: bytes) -> Sequence[classification_pb2.Class]:
        request = classification_pb2.ClassificationRequest()
        request.model_spec.name, request.model_spec.signature_name = name, "classify_examples"
        feature = request.input.example_list.examples.add().features.feature["image/encoded"]
        feature.bytes_list.value.append(image)
        with grpc.insecure_channel(self.address) as channel:
            response = prediction_service_pb2_grpc.PredictionServiceStub(channel).Classify(
                request, timeout=300
            )
        (classifications,) = response.result.classifications
        ranked: Sequence[classification_pb2.Class] = classifications.classes
        return ranked

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(30)
