"""Images of one request in the graph: each judged as what it is, all of them within the request's bounds."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from slimserve.export.graph.images.checks import Bounds
from slimserve.export.graph.images.source import ImageSource

from tests.robustness.attacks.pictures import encoded, picture
from tests.support.image_files import GIF, HEIGHT, JPEG, PLAIN_555, PNG, WIDTH, bmp, of_process

BOUNDS = Bounds(max_images=6, max_pixels=300 * 300, max_request_pixels=300_000, least_pixels=50_000)


class Requests:
    """The graph's inputs: ask for the sizes of a request's images, for which nothing is decoded, or for an image."""

    def __init__(self) -> None:
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        with self._session.graph.as_default():
            self._source = ImageSource(BOUNDS)
            self._index = tf.compat.v1.placeholder(tf.int32, [])
            self._image = self._source.image(self._index)

    def sizes(self, **inputs: object) -> list[list[int]]:
        feeds = {getattr(self._source, name): value for name, value in inputs.items()}
        count, sizes = self._session.run([self._source.count, self._source.sizes], feeds)
        assert count == len(sizes)
        return sizes.tolist()

    def image(self, files: list[bytes], index: int) -> np.ndarray:
        return self._session.run(self._image, {self._source.image_bytes: files, self._index: index})


@pytest.fixture(scope="module")
def requests() -> Requests:
    return Requests()


def test_images_of_one_request_are_judged_and_decoded_each_as_what_it_is(requests: Requests) -> None:
    files = [JPEG, PNG, GIF, bmp(PLAIN_555, 16), encoded(picture(24, 16), "WEBP")]
    assert requests.sizes(image_bytes=files) == [[HEIGHT, WIDTH]] * 4 + [[16, 24]]
    for index, file in enumerate(files[:3]):
        expected = np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))
        np.testing.assert_array_equal(requests.image(files, index), expected)


def test_a_refusal_has_the_index_of_its_image(requests: Requests) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="image 2 is a lossless JPEG"):
        requests.sizes(image_bytes=[JPEG, PNG, of_process(0xC3), b"text"])
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="image 1 is a truncated or damaged JPEG: send it whole"
    ):
        requests.image([PNG, JPEG[:600]], 1)


BEYOND = {
    "too many pixels of one size": (
        {"images": np.zeros((7, 1, 1, 3), np.uint8)},
        "7 images: .* at most 6 in a request",
    ),
    "too many files": ({"image_bytes": [PNG] * 7}, "7 images: .* at most 6 in a request; .* --max-images"),
    "a hundred thousand empty files": ({"image_bytes": [b""] * 100_000}, "100000 images"),
    "pixels that are too many together": (
        {"images": np.zeros((4, 290, 290, 3), np.uint8)},
        "409600 pixels in all .* at most 300000 in a request; .* --max-request-pixels",
    ),
    "files that are too many together": (
        {"image_bytes": [encoded(Image.new("RGB", (290, 290)), "PNG")] * 4},
        "409600 pixels in all",
    ),
}


@pytest.mark.parametrize("kind", BEYOND)
def test_a_request_beyond_the_bounds_is_refused_before_anything_is_decoded(
    requests: Requests, kind: str
) -> None:
    inputs, words = BEYOND[kind]
    with pytest.raises(tf.errors.InvalidArgumentError, match=words):
        requests.sizes(**inputs)


def test_a_small_image_counts_as_the_crop_that_it_costs(requests: Requests) -> None:
    assert requests.sizes(images=np.zeros((6, 1, 1, 3), np.uint8)) == [[1, 1]] * 6  # 6 x 50,000
    with pytest.raises(tf.errors.InvalidArgumentError, match="at least 50000"):
        requests.sizes(image_bytes=[encoded(Image.new("RGB", (240, 240)), "PNG")] * 5 + [PNG])


def test_one_image_within_its_own_limit_is_within_the_requests(requests: Requests) -> None:
    assert requests.sizes(images=np.zeros((1, 1, 2000, 3), np.uint8)) == [[1, 2000]]
