"""Photos that are larger than a model takes, files of kinds that it does not read: sent as what it takes."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from slimserve import Client, InvalidInput
from slimserve.images import pillow, refused
from slimserve.images.given import prepare
from tensorflow_serving.apis import predict_pb2

from tests.unit.client.conftest import PREDICT, ScriptedServer, predict_answer

LIMIT = 2048 * 2048
RANKING = {
    "class_ids": np.array([[3]], np.int32),
    "class_names": np.array([[b"tree"]], object),
    "scores": np.array([[0.5]], np.float32),
}


def photo(width: int, height: int) -> Image.Image:
    """Large shapes and, fainter, smaller ones, as in photographs."""
    generator = np.random.default_rng(5)

    def shapes(side: int) -> Image.Image:
        noise = generator.integers(0, 256, (height // side + 1, width // side + 1, 3), np.uint8)
        return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)

    return Image.blend(Image.blend(shapes(256), shapes(64), 0.3), shapes(16), 0.1)


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.fixture(scope="module")
def large() -> Image.Image:
    """12 megapixels."""
    return photo(4000, 3000)


def crop(pixels: np.ndarray) -> np.ndarray:
    """What the server's network sees: the shorter side to 256, sampled as TensorFlow 1 does, and its centre."""
    height, width = pixels.shape[:2]
    places = []
    for side in (height, width):
        resized = round(side * 256 / min(height, width))
        place = (np.arange(224) + (resized - 224) // 2) * side / resized
        lower = place.astype(int)
        places.append((lower, np.minimum(lower + 1, side - 1), place - lower))
    (top, bottom, down), (left, right, across) = places
    rows = pixels[top] * (1 - down[:, None, None]) + pixels[bottom] * down[:, None, None]
    return rows[:, left] * (1 - across[:, None]) + rows[:, right] * across[:, None]


@pytest.mark.parametrize("given_as", ["JPEG", "gray JPEG", "PNG", "array", "Pillow"])
def test_a_large_photo_is_shrunk_and_its_crop_stays_what_it_was(large: Image.Image, given_as: str) -> None:
    source = large.convert("L").convert("RGB") if given_as == "gray JPEG" else large
    given: Any = {
        "JPEG": lambda: encoded(source),
        "gray JPEG": lambda: encoded(source.convert("L")),
        "PNG": lambda: encoded(source, "PNG", compress_level=1),
        "array": lambda: np.asarray(source),
        "Pillow": lambda: source,
    }[given_as]()
    smaller = refused.shrunk(prepare("photo", given))
    assert smaller.pixels.shape == (750, 1000, 3)
    assert smaller.original_size == (3000, 4000)
    difference = crop(smaller.pixels) - crop(np.asarray(source))
    assert np.abs(difference).mean() < 3  # levels of 255: the mean of 4x4 pixels stands for one of them


@pytest.mark.parametrize("size", [(2048, 2048), (1000, 1000), (20000, 1000)])
def test_what_the_model_takes_or_would_lose_detail_is_sent_as_it_is(size: tuple[int, int]) -> None:
    image = prepare("photo", encoded(Image.new("RGB", size), quality=10))
    assert refused.shrunk(image) is image


def test_a_large_photo_goes_small_and_its_answer_says_so(
    scripted: Callable[..., ScriptedServer], large: Image.Image, caplog: pytest.LogCaptureFixture
) -> None:
    requests = []

    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        requests.append(request)
        return predict_answer(**RANKING)

    server = scripted()
    server.answers[PREDICT] = answer
    caplog.set_level(logging.INFO, "slimserve")
    with Client(server.address, model="m") as client:
        result = client.classify(encoded(large, quality=95))
    assert result.sent_size == (750, 1000)
    assert sum(map(len, requests)) < 2_400_000
    assert "the image is sent as 1000x750 pixels, not 4000x3000" in caplog.text


def server_that_takes(scripted: Callable[..., ScriptedServer], most: int, refusal: str) -> ScriptedServer:
    """A server that refuses encoded images, and pixels of more than `most`."""

    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        inputs = predict_pb2.PredictRequest.FromString(request).inputs
        if "images" not in inputs or tf.make_ndarray(inputs["images"]).size > 3 * most:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, refusal)
        return predict_answer(**RANKING)

    server = scripted()
    server.answers[PREDICT] = answer
    return server


def test_a_model_of_a_smaller_limit_gets_what_it_takes(scripted: Callable[..., ScriptedServer]) -> None:
    server = server_that_takes(
        scripted, 600_000, "image 0 is 1500x1400 pixels: this model takes at most 600000 pixels"
    )
    with Client(server.address, model="m") as client:
        answers = client.classify([encoded(photo(1500, 1400)), np.asarray(photo(1500, 1400))])
    assert [answer.sent_size for answer in answers] == [(700, 750)] * 2


def test_a_file_of_a_kind_that_is_not_read_is_sent_as_pixels(scripted: Callable[..., ScriptedServer]) -> None:
    server = server_that_takes(
        scripted, LIMIT, "image 0 is a BMP of a kind that is not read (run-length encoded)"
    )
    with Client(server.address, model="m") as client:
        assert client.classify(encoded(photo(30, 20), "BMP")).top.name == "tree"


def test_a_damaged_file_keeps_the_servers_words(scripted: Callable[..., ScriptedServer]) -> None:
    words = "image 0 is a lossless JPEG, a kind that is not read: save it as a baseline JPEG"
    server = server_that_takes(scripted, LIMIT, words)
    with Client(server.address, model="m") as client, pytest.raises(InvalidInput, match=words):
        client.classify(encoded(photo(30, 20))[:200])


def test_without_pillow_the_refusal_says_what_to_install(
    scripted: Callable[..., ScriptedServer], monkeypatch: pytest.MonkeyPatch, large: Image.Image
) -> None:
    server = server_that_takes(
        scripted, 0, "image 0 is 4000x3000 pixels: this model takes at most 4194304 pixels"
    )
    monkeypatch.setattr(pillow, "is_there", lambda: False)
    with (
        Client(server.address, model="m") as client,
        pytest.raises(InvalidInput, match=r"pip install '.\[images\]'"),
    ):
        client.classify(encoded(large))


def test_a_small_file_of_many_pixels_is_shrunk_once_the_model_has_refused_it(
    scripted: Callable[..., ScriptedServer],
) -> None:
    file = encoded(Image.new("RGB", (4000, 3000), (200, 30, 60)), "PNG")
    assert len(file) < 200_000
    server = server_that_takes(
        scripted, LIMIT, "image 0 is 4000x3000 pixels: this model takes at most 4194304 pixels"
    )
    with Client(server.address, model="m") as client:
        assert client.classify(file).sent_size == (750, 1000)


@pytest.mark.parametrize(("size", "sent"), [((5000, 1000), (500, 2500)), ((1280, 8000), (4000, 640))])
def test_a_panorama_keeps_what_is_classified_of_it(size: tuple[int, int], sent: tuple[int, int]) -> None:
    smaller = refused.shrunk(prepare("photo", np.zeros((*size[::-1], 3), np.uint8)))
    assert smaller.pixels.shape[:2] == sent
