"""TensorFlow Serving's own examples, unchanged: they train, export, and ask the embedded engine through gRPC."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.robustness.public_models.fetching import unpack
from tests.support.serving import Serving

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1200)]

EXAMPLES = "tensorflow_serving/example"
# Stands in for the network: the example asks for a photograph of a cat.
REQUESTS = """
class get:
    def __init__(self, address, stream): self.content = open(__file__ + ".jpg", "rb").read()
    def raise_for_status(self): pass
"""


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        return unpack("tensorflow/serving", EXAMPLES, tmp_path_factory.mktemp("serving")) / EXAMPLES
    except OSError as error:
        pytest.skip(str(error))


def run(script: Path, *arguments: object, path: Path | None = None) -> str:
    environment = {**os.environ, "PYTHONPATH": str(path or "")}
    command = [sys.executable, script, *map(str, arguments)]
    result = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=500
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


def digits(folder: Path) -> None:
    """Images of ten kinds in the files that MNIST comes in: a bright bar at the height of the digit, under noise."""
    random = np.random.default_rng(5)
    for name, count in (("train", 7000), ("t10k", 500)):
        labels = random.integers(0, 10, count).astype(np.uint8)
        images = random.integers(0, 100, (count, 28, 28)).astype(np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[2 * label : 2 * label + 3] += 150
        for kind, magic, sizes, data in (
            ("images-idx3", 2051, (count, 28, 28), images),
            ("labels-idx1", 2049, (count,), labels),
        ):
            header = np.array([magic, *sizes], ">u4").tobytes()
            (folder / f"{name}-{kind}-ubyte.gz").write_bytes(gzip.compress(header + data.tobytes(), 1))


def test_the_mnist_example_trains_is_served_and_recognises_digits(examples: Path, tmp_path: Path) -> None:
    digits(tmp_path)
    trained = run(examples / "mnist_saved_model.py", f"--work_dir={tmp_path}", tmp_path / "mnist")
    assert "Done exporting!" in trained
    server = Serving("--engine", "embedded", "--port", 0, "--model", f"mnist={tmp_path / 'mnist'}")
    try:
        options = (
            f"--server={server.address}",
            f"--work_dir={tmp_path}",
            "--num_tests=500",
            "--concurrency=4",
        )
        said = run(examples / "mnist_client.py", *options)
    finally:
        server.close()
    rate = re.search(r"Inference error rate: ([\d.]+)%", said)
    assert rate is not None, said
    assert float(rate[1]) < 5


def test_the_resnet_example_is_answered(examples: Path, tmp_path: Path) -> None:
    """With a network that says 1 plus the image's mean of red, in tenths, of the shapes that the example takes."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        image = tf.compat.v1.placeholder(tf.float32, [None, None, None, 3])
        scores = tf.one_hot(1 + tf.cast(tf.reduce_mean(image[..., 0], [1, 2]) * 10, tf.int32), 1000)
        tf.compat.v1.saved_model.simple_save(
            session, str(tmp_path / "resnet" / "1"), {"input_1": image}, {"activation_49": scores}
        )
    (tmp_path / "requests.py").write_text(REQUESTS)
    Image.new("RGB", (64, 48), (128, 0, 0)).save(tmp_path / "requests.py.jpg")
    server = Serving("--engine", "embedded", "--port", 0, "--model", f"resnet={tmp_path / 'resnet'}")
    try:
        said = run(examples / "resnet_client_grpc.py", f"--server={server.address}", path=tmp_path)
    finally:
        server.close()
    assert said.strip() == "Prediction class: 6"
