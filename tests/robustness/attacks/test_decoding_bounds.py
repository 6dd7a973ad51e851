"""The graph decodes within bounds: what an image asks beyond its pixels is refused; the rest reads as in Pillow."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from slimserve.export.graph.images.checks import Bounds
from slimserve.export.graph.images.decoding import ImageDecoder

from tests.robustness.attacks.crafted_images import crafted_images
from tests.robustness.attacks.crafted_jpeg_webp import animation, repeated_scan, segment, with_segments
from tests.robustness.attacks.crafted_png_gif_bmp import ZEROS, bmp, chunk, comment, frame, gif, png
from tests.robustness.attacks.pictures import encoded, picture

Decode = Callable[[bytes], np.ndarray]


@pytest.fixture(scope="module")
def decoder() -> Decode:
    """The graph's decoder for one image, in this process."""
    session = tf.compat.v1.Session(graph=tf.Graph())
    with session.graph.as_default():
        file = tf.compat.v1.placeholder(tf.string, [])
        image = ImageDecoder(Bounds(64, 2048 * 2048, 4 * 2048 * 2048, 224 * 224)).decode(file, "image 7")
    return lambda data: session.run(image, {file: data})


def coloured_bmp() -> bytes:
    """8 bits, the longest header, and a colour of its own for every index."""
    data = bytearray(bmp(16, 16, bits=8, header=124))
    colours = np.random.default_rng(3).integers(0, 256, (256, 4)).astype(np.uint8)
    data[138 : 138 + 1024] = colours.tobytes()
    data[-256:] = bytes(range(256))
    return bytes(data)


def sound_png(*before: bytes, after: bytes = b"") -> bytes:
    """The picture, with chunks before and after its pixels."""
    data = encoded(picture(), "PNG")
    return data[:33] + b"".join(before) + data[33:-12] + after + data[-12:]


def alternating(kind: Callable[[int], bytes], count: int) -> bytes:
    """Parts of changing sizes, which no step of a walk can pass together."""
    return b"".join(kind(1 + number % 2) for number in range(count))


WITHIN = {
    "jpeg of 20 scans": repeated_scan(10, (64, 48)),
    "jpeg of 500 segments": with_segments(encoded(picture(), "JPEG"), segment(0xFE, b"text") * 500),
    "jpeg with 300 KB that look like scans behind its end": encoded(picture(), "JPEG")
    + b"\xff\xda\0\2" * 75_000,
    "png in 400 uneven chunks": sound_png(alternating(lambda n: chunk(b"tEXt", b"k\0" + bytes(n)), 400)),
    "png with 2000 texts behind its pixels": sound_png(
        after=alternating(lambda n: chunk(b"tEXt", b"k\0" + bytes(n)), 2000)
    ),
    "gif with 400 uneven blocks": gif(comment(alternating(lambda n: bytes([n]) * (n + 1), 400)) + frame()),
    "gif of 10000 frames": gif(frame() * 10_000),
    "bmp with 256 colours behind the longest header": coloured_bmp(),
    "bmp with bytes behind its pixels": encoded(picture(), "BMP") + bytes(1000),
    "webp animation without alpha": animation(3, (640, 480)),
}


@pytest.mark.parametrize("kind", WITHIN)
def test_unusual_image_within_bounds_reads_as_pillow_reads_it(decoder: Decode, kind: str) -> None:
    expected = np.asarray(Image.open(io.BytesIO(WITHIN[kind])).convert("RGB"))
    np.testing.assert_array_equal(decoder(WITHIN[kind]), expected)


def test_texts_that_unpack_to_gigabytes_change_nothing(decoder: Decode) -> None:
    texts = sound_png(chunk(b"zTXt", b"k\0\0" + ZEROS) * 1000)
    np.testing.assert_array_equal(decoder(texts), np.asarray(picture()))


BEYOND = {
    "jpeg of 5000 scans": "a JPEG of more than 32 scans",
    "jpeg of 5000 scans behind a false end": "a JPEG of more than 32 scans",
    "jpeg of 1000 whole scans": "a JPEG of more than 32 scans",
    "jpeg with 100000 comments": "a JPEG in more than 1000 parts",
    "png with 100000 uneven texts": "a PNG in more than 1000 parts",
    "gif with 200000 uneven blocks": "a GIF in more than 1000 parts",
    "gif with 100000 comments": "a GIF in more than 1000 parts",
    "png of 4194304x1": "4194304x1 pixels .* sides below 32 count as 32",
    "png of 1x4194304": "1x4194304 pixels .* sides below 32 count as 32",
    "webp of 16777216x16777216": "16777216x16777216 pixels",
    "bmp with a header of 4 GB": "a BMP of a kind that is not read",
    "bmp of 8 bits with a header of 4 GB": "a BMP of a kind that is not read",
    "png with a chunk of 4 GB": "a truncated PNG",
}
CRAFTED = crafted_images()


@pytest.mark.parametrize("kind", BEYOND)
def test_image_beyond_bounds_is_refused_in_words(decoder: Decode, kind: str) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"image 7 is {BEYOND[kind]}"):
        decoder(CRAFTED[kind])


def test_narrow_image_may_be_as_long_as_its_padding_allows(decoder: Decode) -> None:
    assert decoder(png(size=(2048 * 64, 1))).shape == (1, 2048 * 64, 3)
