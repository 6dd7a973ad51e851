"""Mutated and crafted images through the exported model on a real server: answered, or refused in words."""

from __future__ import annotations

import contextlib
import io
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from tests.robustness.attacks.crafted_images import crafted_images
from tests.robustness.attacks.crafted_jpeg_webp import segment, with_segments
from tests.robustness.attacks.image_mutants import mutants, sound_images
from tests.robustness.attacks.pictures import encoded, picture
from tests.support.serving import Serving

SEED = 6
DEADLINE = 200.0  # seconds: several times what the largest image that the model takes costs on one slow core
IDLE = 3.0  # seconds without a request in which the engine gives back what malloc kept
SIGNATURES = {"classify_bytes": "scores", "segment_bytes": "label_png"}

# What the graph, and the decoders behind it, say of an image that they refuse.
IN_WORDS = re.compile(
    r"image 0 (is|has) |Invalid (JPEG|PNG|GIF)|Failed to decode WebP|jpeg::Uncompress failed. Invalid JPEG data"
)


class Target:
    """A server of a model, in a process of its own, under attack."""

    def __init__(self, models: Path) -> None:
        self.server = Serving("--engine", "embedded", "--model", f"vgg_16={models / 'vgg_16'}", "--port", 0)
        self.channel = self.server.channel()
        self.stub = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.outcomes: Counter[str] = Counter()
        self.unforeseen: list[str] = []
        self.slowest = (0.0, "")

    def ask(self, signature: str, data: bytes) -> bytes:
        """Send one encoded image; return what the signature's output holds."""
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "vgg_16"
        request.model_spec.signature_name = signature
        request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto([data]))
        output = SIGNATURES[signature]
        request.output_filter.append(output)
        return tf.make_ndarray(self.stub.Predict(request, timeout=DEADLINE).outputs[output]).ravel()[0]

    def attack(self, images: Iterable[tuple[str, bytes]], *, both: bool = True) -> None:
        """Send each image to both signatures, or to one and the other in turn, and note what became of it."""
        for number, (name, data) in enumerate(images):
            for signature in SIGNATURES if both else [list(SIGNATURES)[number % 2]]:
                start = time.monotonic()
                outcome = self._outcome(signature, data)
                self.outcomes[outcome] += 1
                if outcome not in ("answered", "refused"):
                    self.unforeseen.append(f"{name}, {signature}: {outcome}: {data[:2000].hex()}")
                self.slowest = max(self.slowest, (time.monotonic() - start, f"{name}, {signature}"))

    def _outcome(self, signature: str, data: bytes) -> str:
        try:
            answer = self.ask(signature, data)
        except grpc.RpcError as error:
            words = error.details().split("\n")[0]
            clear = error.code() is grpc.StatusCode.INVALID_ARGUMENT and IN_WORDS.search(error.details())
            return "refused" if clear else f"{error.code().name}: {words}"
        if signature == "segment_bytes":
            Image.open(io.BytesIO(answer)).verify()
        return "answered"

    def memory(self, field: str) -> int:
        """Bytes that /proc tells: VmRSS are resident now, VmHWM were at most."""
        status = Path(f"/proc/{self.server.process.pid}/status").read_text()
        return 1024 * int(re.search(rf"{field}:\s+(\d+)", status)[1])

    def resident(self) -> int:
        """Bytes resident once sound images were answered, one of more pixels and some in files of 15 MB among them.

        What one request leaves to the next, the threads' stacks say, is in place then, and the engine idle.
        """
        larger, small = encoded(picture(320, 240), "JPEG"), encoded(picture(), "JPEG")
        profile = with_segments(small, *[segment(0xE2, bytes(60_000))] * 255)
        thick = [profile, small + b"\xff\xda\0\2" * 3_750_000, encoded(picture(), "BMP") + bytes(15_000_000)]
        for data in [larger, *thick, *list(sound_images().values())[::4]]:
            for signature in SIGNATURES:
                self.ask(signature, data)
        time.sleep(IDLE)
        return self.memory("VmRSS")

    def close(self) -> None:
        self.channel.close()
        self.server.close()


@pytest.fixture(scope="module")
def target(small_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """The small network, which decodes as every export does; behind `make soak` it is VGG-16."""
    models = tmp_path_factory.mktemp("small")
    (models / "vgg_16").symlink_to(small_models / "small")
    with contextlib.closing(Target(models)) as target:
        yield target


def batch_of_tiny_images(target: Target, count: int) -> None:
    """Classify many images of a pixel in one request."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "vgg_16", "classify"
    request.inputs["images"].CopyFrom(tf.make_tensor_proto(np.zeros((count, 1, 1, 3), np.uint8)))
    target.stub.Predict(request, timeout=DEADLINE)


@pytest.fixture(scope="module")
def resident(target: Target) -> tuple[int, int]:
    """Bytes resident before and after an attack with every crafted image and a sample of the mutants."""
    before = target.resident()
    target.attack(crafted_images().items(), both=False)
    target.attack(list(mutants(2000, SEED))[::40], both=False)
    batch_of_tiny_images(target, 32)
    return before, target.resident()


def test_hostile_images_are_answered_or_refused_in_words(target: Target, resident: tuple[int, int]) -> None:
    assert target.unforeseen == []
    assert target.outcomes["answered"] > 30
    assert target.outcomes["refused"] > 60


def test_memory_returns_after_hostile_images(target: Target, resident: tuple[int, int]) -> None:
    before, after = resident
    if after >= 1.1 * before:  # what was freed late is given back ten seconds after the last answer
        time.sleep(10)
        after = target.memory("VmRSS")
    assert after < 1.1 * before


def test_no_hostile_request_is_given_memory_that_its_pixels_do_not_need(
    target: Target, resident: tuple[int, int]
) -> None:
    assert target.memory("VmHWM") < resident[0] + (512 << 20)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("quarter", range(4))
def test_2000_mutants_leave_the_server_as_it_was(models: Path, quarter: int) -> None:
    with contextlib.closing(Target(models)) as target:
        before = target.resident()
        start = time.monotonic()
        target.attack(list(mutants(2000, SEED))[quarter::4])
        seconds = time.monotonic() - start
        after = target.resident()
        peak = target.memory("VmHWM")
        alive = target.server.process.poll() is None
    print(f"{dict(target.outcomes)} in {seconds:.0f} s, slowest {target.slowest}")
    print(f"resident: {before / 1e9:.3f} GB before, {after / 1e9:.3f} GB after, {peak / 1e9:.3f} GB at most")
    assert target.unforeseen == []
    assert alive
    assert after < 1.1 * before


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_crafted_images_leave_both_signatures_as_they_were(models: Path) -> None:
    with contextlib.closing(Target(models)) as target:
        before = target.resident()
        target.attack(crafted_images().items())
        after = target.resident()
    print(f"{dict(target.outcomes)}, slowest {target.slowest}")
    print(f"resident: {before / 1e9:.3f} GB before, {after / 1e9:.3f} GB after")
    assert target.unforeseen == []
    assert after < 1.1 * before
