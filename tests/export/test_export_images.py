"""Encoded and raw images of all kinds, good and bad, in the graph: compared with Pillow."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from slimserve.export.graph.images.checks import Bounds
from slimserve.export.graph.images.decoding import ImageDecoder
from slimserve.export.graph.images.source import ImageSource

from tests.support.saved_model import SavedModel

MAX_PIXELS = 200 * 200
BOUNDS = Bounds(max_images=8, max_pixels=MAX_PIXELS, max_request_pixels=4 * MAX_PIXELS, least_pixels=100)


def picture(height: int = 40, width: int = 60) -> Image.Image:
    rng = np.random.default_rng(0)
    blocks = np.kron(rng.integers(0, 256, (height // 10, width // 10, 3)), np.ones((10, 10, 1)))
    return Image.fromarray(blocks.astype(np.uint8))


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def with_alpha() -> Image.Image:
    image = picture().convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


def sixteen_bit() -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 65536, (30, 50)).astype(np.uint16))


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds a few compressed zeros."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(bytes(10000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")


def gif_of(frames: int, width: int, height: int) -> bytes:
    """A GIF whose logical screen is 1x1 and whose frames are width x height: the decoder believes the frames."""
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x44\x01\x00"
    return b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6) + frame * frames + b";"


class Decoder:
    """The graph's decoder for one image."""

    def __init__(self) -> None:
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        with self._session.graph.as_default():
            self._encoded = tf.compat.v1.placeholder(tf.string, [])
            self._image = ImageDecoder(BOUNDS).decode(self._encoded, "image 7")

    def __call__(self, data: bytes) -> np.ndarray:
        return self._session.run(self._image, {self._encoded: data})


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    return Decoder()


KINDS = {
    "jpeg": encoded(picture(), "JPEG", quality=90),
    "progressive jpeg": encoded(picture(), "JPEG", progressive=True),
    "jpeg with 4:4:4 chroma": encoded(picture(), "JPEG", subsampling=0),
    "gray jpeg": encoded(picture().convert("L"), "JPEG"),
    "cmyk jpeg": encoded(picture().convert("CMYK"), "JPEG"),
    "png": encoded(picture(), "PNG"),
    "gray png": encoded(picture().convert("L"), "PNG"),
    "palette png": encoded(picture().quantize(16), "PNG"),
    "one-bit png": encoded(picture().convert("1"), "PNG"),
    "png with alpha": encoded(with_alpha(), "PNG"),
    "gif": encoded(picture().quantize(256), "GIF"),
    "animated gif": encoded(
        picture().quantize(16),
        "GIF",
        save_all=True,
        append_images=[picture().rotate(90 * i) for i in range(1, 5)],
    ),
    "bmp": encoded(picture(), "BMP"),
    "gray bmp": encoded(picture().convert("L"), "BMP"),
    "palette bmp": encoded(picture().quantize(16), "BMP"),
    "webp": encoded(picture(), "WEBP"),
    "lossless webp": encoded(picture(), "WEBP", lossless=True),
    "webp with alpha": encoded(with_alpha(), "WEBP", lossless=True),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_image_decodes_as_pillow_does(decoder: Decoder, kind: str) -> None:
    expected = np.asarray(Image.open(io.BytesIO(KINDS[kind])).convert("RGB"))
    np.testing.assert_array_equal(decoder(KINDS[kind]), expected)


def test_sixteen_bits_are_cut_to_eight(decoder: Decoder) -> None:
    image = sixteen_bit()
    expected = np.asarray(image) >> 8
    assert (decoder(encoded(image, "PNG")) == expected[..., None]).all()


REFUSED = {
    "text": (b"this is no image", "image 7 is not a JPEG, PNG, GIF, BMP or WebP"),
    "nothing": (b"", "image 7 is not a JPEG, PNG, GIF, BMP or WebP"),
    "truncated jpeg": (KINDS["jpeg"][:300], "JPEG"),
    "truncated gif": (KINDS["gif"][:200], "image 7 is a truncated GIF"),
    "truncated png": (KINDS["png"][:60], "PNG"),
    "truncated bmp": (KINDS["bmp"][:500], "image 7 is a truncated BMP"),
    "truncated webp": (KINDS["webp"][:60], "WebP|webp|WEBP"),
    "only a jpeg's start": (b"\xff\xd8\xff", "JPEG"),
    "png bomb": (png_header(50000, 50000), "image 7 is 50000x50000 pixels .* at most 40000"),
    "png whose pixels overflow": (png_header(2**31 - 1, 2**31 - 1), "at most 40000"),
    "png of no width": (png_header(0, 50), "image 7 has no pixels"),
    "gif bomb": (gif_of(1, 65535, 65535), "image 7 is 65535x65535 pixels"),
    "gif without an image": (b"GIF89a" + struct.pack("<HHBBB", 9, 9, 0, 0, 0) + b";", "GIF without an image"),
    "compressed bmp": (KINDS["bmp"][:30] + b"\x01" + KINDS["bmp"][31:], "BMP of a kind that is not read"),
    "jpeg over the limit": (encoded(picture(210, 200), "JPEG"), "image 7 is 200x210 pixels"),
    "webp over the limit": (encoded(picture(210, 200), "WEBP"), "image 7 is 200x210 pixels"),
    "lossless webp over the limit": (encoded(picture(210, 200), "WEBP", lossless=True), "image 7 is 200x210"),
    "bmp over the limit": (encoded(picture(210, 200), "BMP"), "image 7 is 200x210 pixels"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_bad_image_is_refused_with_a_clear_message(decoder: Decoder, kind: str) -> None:
    data, message = REFUSED[kind]
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        decoder(data)


def test_only_the_first_frame_of_a_long_gif_is_unpacked(decoder: Decoder) -> None:
    # 10,000 frames at 200x200 would be 400 MB unpacked, and the frames behind the first are cut off mid-data.
    first = gif_of(1, 1, 1)[:-1]
    assert decoder(first + gif_of(10000, 200, 200)[19:]).shape == (1, 1, 3)


def gif_with_one_dot(
    screen: tuple[int, int] = (60, 40),
    at: tuple[int, int] = (20, 10),
    *,
    told: bytes = b"",
    table: bytes = b"",
) -> bytes:
    """A GIF whose only frame is one pixel."""
    flags = 0x80 if table else 0
    dot = b"\x2c" + struct.pack("<HHHHB", *at, 1, 1, flags) + table + b"\x02\x02\x4c\x01\x00"
    colours = bytes([9, 80, 170, 200, 100, 0])
    return b"GIF89a" + struct.pack("<HHBBB", *screen, 0x80, 1, 0) + colours + told + dot + b";"


def transparent(index: int) -> bytes:
    return bytes([0x21, 0xF9, 4, 1, 0, 0, index, 0])


DOTS = {
    "at an offset": gif_with_one_dot(),
    "on a transparent screen": gif_with_one_dot(told=transparent(1)),
    "on a screen of its own colours": gif_with_one_dot(table=bytes([1, 2, 3, 4, 5, 6])),
    "whose transparent colour is beyond the table": gif_with_one_dot(told=transparent(200)),
    "that is transparent itself": gif_with_one_dot((1, 1), (0, 0), told=transparent(1)),
    "behind a comment and a delay": gif_with_one_dot(
        told=b"\x21\xfe\x01\x07\0" + bytes([0x21, 0xF9, 4, 0, 9, 0, 1, 0])
    ),
    "on a screen without a size": gif_with_one_dot((0, 0), (0, 0)),
    "that lies outside the screen": gif_with_one_dot((30, 5)),
}


@pytest.mark.parametrize("kind", DOTS)
def test_frame_of_a_gif_lies_on_its_screen_as_in_pillow(decoder: Decoder, kind: str) -> None:
    expected = np.asarray(Image.open(io.BytesIO(DOTS[kind])).convert("RGB"))
    np.testing.assert_array_equal(decoder(DOTS[kind]), expected)


@pytest.mark.parametrize(
    ("screen", "at", "size"), [((210, 200), (0, 0), "210x200"), ((1, 1), (0, 65535), "1x65536")]
)
def test_screen_of_a_gif_counts_as_its_size(
    decoder: Decoder, screen: tuple[int, int], at: tuple[int, int], size: str
) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"image 7 is {size} pixels"):
        decoder(gif_with_one_dot(screen, at))


@pytest.fixture(scope="module")
def source() -> Iterator[tuple[tf.compat.v1.Session, ImageSource]]:
    graph = tf.Graph()
    with graph.as_default():
        source = ImageSource(BOUNDS)
    session = tf.compat.v1.Session(
        graph=graph
    )  # as a context it would make its graph that of other fixtures too
    yield session, source
    session.close()


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 20, 30, 4), r"images must be RGB pixels, uint8 \[N, height, width, 3\], not \[1, 20, 30, 4\]"),
        ((20, 30, 3), r"not \[20, 30, 3\]"),
        ((), r"not \[\]"),
        ((0, 20, 30, 3), "the batch is empty"),
        ((1, 0, 30, 3), "each image has no pixels"),
        ((1, 201, 200, 3), "each image is 200x201 pixels"),
    ],
)
def test_pixels_of_a_wrong_shape_are_refused(
    source: tuple[tf.compat.v1.Session, ImageSource], shape: tuple[int, ...], message: str
) -> None:
    session, inputs = source
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        session.run(inputs.count, {inputs.images: np.zeros(shape, np.uint8)})


def test_encoded_images_that_are_no_vector_are_refused(
    source: tuple[tf.compat.v1.Session, ImageSource],
) -> None:
    session, inputs = source
    with pytest.raises(tf.errors.InvalidArgumentError, match="image_bytes must be a vector"):
        session.run(inputs.count, {inputs.image_bytes: np.array(KINDS["png"], object)})


def check_size(model: SavedModel, size: tuple[int, int]) -> None:
    label_map = model("segment", images=np.zeros((1, *size, 3), np.uint8))["label_map"]
    assert label_map.shape == (1, *size)
    assert label_map.dtype == np.uint8


@pytest.mark.parametrize("size", [(1, 1), (31, 33), (224, 224), (500, 333), (1080, 1920)])
def test_image_is_segmented_at_its_own_size(narrow: SavedModel, size: tuple[int, int]) -> None:
    check_size(narrow, size)


@pytest.mark.soak
@pytest.mark.parametrize("size", [(1, 1), (31, 33), (224, 224), (500, 333), (1080, 1920)])
def test_vgg_16_segments_an_image_at_its_own_size(aligned: SavedModel, size: tuple[int, int]) -> None:
    check_size(aligned, size)


def test_one_request_mixes_encoded_images_of_different_sizes(narrow: SavedModel) -> None:
    sizes = [(50, 70), (33, 20)]
    files = np.array([encoded(picture(100, 100).resize(size[::-1]), "PNG") for size in sizes], object)
    pngs = narrow("segment_bytes", image_bytes=files)["label_png"]
    assert [Image.open(io.BytesIO(png)).size[::-1] for png in pngs] == sizes


def test_label_png_holds_the_label_map(narrow: SavedModel) -> None:
    image = picture(70, 120)
    png = narrow("segment_bytes", image_bytes=np.array([encoded(image, "PNG")], object))["label_png"][0]
    label_map = narrow("segment", images=np.asarray(image)[None])["label_map"][0]
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png))), label_map)


def test_examples_are_classified_as_their_images_are(narrow: SavedModel) -> None:
    data = encoded(picture(), "JPEG")
    example = tf.train.Example()
    example.features.feature["image/encoded"].bytes_list.value.append(data)
    answer = narrow("classify_examples", inputs=np.array([example.SerializeToString()], object))
    expected = narrow("classify_bytes", image_bytes=np.array([data], object))
    assert answer["classes"].tolist() == expected["class_names"].tolist()
    np.testing.assert_array_equal(answer["scores"], expected["scores"])


def test_class_names_are_looked_up_by_id(narrow: SavedModel) -> None:
    ranked = narrow("classify", images=np.zeros((1, 9, 9, 3), np.uint8))
    names = narrow("labels", class_ids=ranked["class_ids"][0])["class_names"]
    assert names.tolist() == ranked["class_names"][0].tolist()


@pytest.mark.parametrize("class_id", [-1, 10_000])
def test_class_id_out_of_range_is_refused(narrow: SavedModel, class_id: int) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="class_ids must lie between 0 and"):
        narrow("labels", class_ids=np.array([class_id], np.int32))
