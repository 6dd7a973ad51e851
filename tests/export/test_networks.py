"""Every network: a checkpoint that tf-slim's own graph wrote is exported, served, and answers as tf-slim does."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import classification_pb2, prediction_service_pb2_grpc

from client import Client
from export.demo.constants import Constants
from export.exporter import Export, export_checkpoint
from export.layers import VariableLayers
from export.networks import NETWORKS, Network
from tests import slim_preprocessing as reference
from tests.conftest import ROOT
from tests.slim_checkpoints import SlimNetwork

CLASSES = 7
# What differs most: padded by its page and by pre-activation, cells and crop alone; the rest behind `make soak`.
QUICK = ("alexnet_v2", "resnet_v2_50", "inception_v2")
REST = sorted(name for name, network in NETWORKS.items() if name not in QUICK and not name.startswith("fcn"))
CLASSIFYING = {"serving_default", "classify", "classify_bytes", "classify_examples", "labels"}
SEGMENTING = CLASSIFYING | {"segment", "segment_bytes", "logits"}


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Coarse blobs under noise, uint8 [H, W, 3]."""
    rng = np.random.default_rng(seed)
    blobs = np.kron(rng.integers(0, 256, (height // 40 + 1, width // 40 + 1, 3)), np.ones((40, 40, 1)))
    return np.clip(blobs[:height, :width] + rng.normal(0, 20, (height, width, 3)), 0, 255).astype(np.uint8)


IMAGE = noise(250, 310)


@dataclass(frozen=True)
class Exported:
    """A network's export, and what tf-slim says of IMAGE with the same weights.

    Attributes:
        crop: logits float32 [C] of its crop.
        cells: logits [h, w, C] of all of it, padded; None where the network only classifies.
    """

    network: Network
    export: Export
    crop: np.ndarray
    cells: np.ndarray | None


def exported(name: str, folder: Path, classes: int = CLASSES) -> Exported:
    network = NETWORKS[name]
    images = [reference.central_crop(IMAGE, network)]
    if network.segments:
        images.append(reference.padded(IMAGE, network))
    with SlimNetwork(network, classes) as slim:
        checkpoint = slim.save(folder / f"{name}.ckpt")
        crop, *cells = slim.logits(images)
    export = export_checkpoint(checkpoint, folder / name)
    for file in folder.glob(f"{name}.ckpt*"):
        file.unlink()
    return Exported(network, export, crop.mean(axis=(0, 1)), cells[0] if cells else None)


class Served:
    """Exports behind one engine, a process of its own."""

    def __init__(self, exports: dict[str, Exported]) -> None:
        command = [sys.executable, "-m", "serving_config", "up", "--engine", "embedded", "--port", "0"]
        for name, one in exports.items():
            command += ["--model", f"{name}={one.export.path.parent}"]
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

    def classify_examples(self, name: str, image: bytes) -> classification_pb2.ClassificationResponse:
        request = classification_pb2.ClassificationRequest()
        request.model_spec.name, request.model_spec.signature_name = name, "classify_examples"
        feature = request.input.example_list.examples.add().features.feature["image/encoded"]
        feature.bytes_list.value.append(image)
        with grpc.insecure_channel(self.address) as channel:
            return prediction_service_pb2_grpc.PredictionServiceStub(channel).Classify(request, timeout=300)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(30)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("networks")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def quick(folder: Path) -> Iterator[Served]:
    served = Served({name: exported(name, folder) for name in QUICK})
    yield served
    served.close()


@pytest.fixture
def alone(name: str, tmp_path: Path) -> Iterator[Served]:
    """One network and its engine, removed behind the test."""
    served = Served({name: exported(name, tmp_path)})
    yield served
    served.close()
    shutil.rmtree(tmp_path)


def centred(logits: np.ndarray) -> np.ndarray:
    """Logits that softmax tells apart no more than their probabilities."""
    return logits - logits.mean(axis=-1, keepdims=True)


def check_signatures(served: Served, name: str) -> None:
    one = served.exports[name]
    jpeg = tf.io.encode_jpeg(IMAGE, quality=95).numpy()
    images, encoded = IMAGE[None], np.array([jpeg], object)
    assert set(one.export.signatures) == (SEGMENTING if one.network.segments else CLASSIFYING)
    default = served.call(name, "serving_default", images=images)
    ranked = served.call(name, "classify", images=images)
    assert default["class_ids"].shape == ranked["class_ids"].shape == (1, 5)
    assert served.call(name, "classify_bytes", image_bytes=encoded)["scores"].shape == (1, 5)
    assert len(served.classify_examples(name, jpeg).result.classifications[0].classes) == 5
    (label,) = served.call(name, "labels", class_ids=ranked["class_ids"][0, :1])["class_names"]
    assert label == ranked["class_names"][0, 0]
    if one.network.segments:
        label_map = served.call(name, "segment", images=images)["label_map"]
        assert label_map.shape == default["label_map"].shape == (1, *IMAGE.shape[:2])
        (png,) = served.call(name, "segment_bytes", image_bytes=encoded)["label_png"]
        assert tf.io.decode_png(png).shape == (*IMAGE.shape[:2], 1)


def check_numbers(served: Served, name: str) -> None:
    """Against tf-slim: to 1e-5 of the largest logit, as its own numbers vary by some 1e-6 from machine to machine."""
    one = served.exports[name]
    parity = one.export.parity
    assert parity.difference <= 1e-5
    assert parity.argmax_agreement == 1
    probabilities = served.call(name, "classify", images=IMAGE[None])["probabilities"][0]
    # Resized pixels differ in the last bit from NumPy's, which the network amplifies.
    np.testing.assert_allclose(
        centred(np.log(probabilities)), centred(one.crop), atol=1e-4 * np.abs(one.crop).max()
    )
    if one.cells is None:
        default = served.call(name, "serving_default", images=IMAGE[None])
        np.testing.assert_allclose(default["scores"][0], np.sort(probabilities)[::-1][:5], rtol=1e-5)
        return
    logits = served.call(name, "logits", images=IMAGE[None])["logits"][0]
    before, behind = (one.network.window - 1) // 2, one.network.window // 2
    inside = logits[before : len(logits) - behind, before : logits.shape[1] - behind]
    assert inside.shape == one.cells.shape
    assert np.abs(inside - one.cells).max() <= 1e-5 * np.abs(one.cells).max()
    ranking = reference.softmax(inside.mean(axis=(0, 1)))
    default = served.call(name, "serving_default", images=IMAGE[None])
    np.testing.assert_allclose(default["scores"][0], np.sort(ranking)[::-1][:5], atol=1e-5)


@pytest.mark.parametrize("name", QUICK)
def test_the_network_is_recognised(quick: Served, name: str) -> None:
    assert quick.exports[name].export.record["network"] == name


@pytest.mark.parametrize("name", QUICK)
def test_every_signature_answers(quick: Served, name: str) -> None:
    check_signatures(quick, name)


@pytest.mark.parametrize("name", QUICK)
def test_numbers_are_those_of_slim(quick: Served, name: str) -> None:
    check_numbers(quick, name)


@pytest.mark.parametrize("name", QUICK)
def test_logits_depend_on_the_image(quick: Served, name: str) -> None:
    """Random weights could have made all images alike, and every comparison an idle one."""
    probabilities = [
        quick.call(name, "classify", images=noise(250, 310, seed)[None])["probabilities"][0]
        for seed in range(2)
    ]
    spread = np.abs(quick.exports[name].crop).max()
    assert 0.1 < spread < 1000
    assert np.abs(centred(np.log(probabilities[0])) - centred(np.log(probabilities[1]))).max() > 0.01 * spread


@pytest.mark.parametrize(
    ("name", "output_stride"), [("resnet_v1_50", 8), pytest.param("resnet_v2_50", 16, marks=pytest.mark.soak)]
)
def test_resnets_are_dilated_as_in_slim(name: str, output_stride: int) -> None:
    network = NETWORKS[name]
    assert network.reference
    options = {**network.reference.options, "output_stride": output_stride}
    image = reference.padded(noise(60, 90), network)
    with SlimNetwork(
        replace(network, reference=replace(network.reference, options=options)), CLASSES
    ) as slim:
        (expected,) = slim.logits([image])
        layers = VariableLayers(Constants(slim.values()), network.scope)
    run = tf.function(lambda images: network.logits(images, layers, "SAME", output_stride))
    logits = run(image[None])[0].numpy()
    assert logits.shape == (64 // output_stride + 1, 96 // output_stride + 1, CLASSES)
    assert np.abs(logits - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.soak
@pytest.mark.parametrize("name", REST)
def test_the_other_networks_too(alone: Served, name: str) -> None:
    assert alone.exports[name].export.record["network"] == name
    check_signatures(alone, name)
    check_numbers(alone, name)
