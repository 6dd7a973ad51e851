"""Kinds of encoded images in the graph: each read as it is meant, or refused by its name before anything else."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from slimserve.export.graph.images.checks import Bounds
from slimserve.export.graph.images.decoding import ImageDecoder

from tests.robustness.attacks.crafted_png_gif_bmp import frame, gif
from tests.robustness.attacks.pictures import encoded, picture
from tests.support.image_files import (
    FRAME,
    GIF,
    HEIGHT,
    JPEG,
    PNG,
    TRUE,
    WIDTH,
    bmp,
    bmps,
    coloured,
    of_process,
)

BOUNDS = Bounds(max_images=6, max_pixels=300 * 300, max_request_pixels=300_000, least_pixels=50_000)
Decode = Callable[[bytes], np.ndarray]


@pytest.fixture(scope="module")
def decoder() -> Decode:
    """The graph's decoder of one image."""
    session = tf.compat.v1.Session(graph=tf.Graph())
    with session.graph.as_default():
        file = tf.compat.v1.placeholder(tf.string, [])
        image = ImageDecoder(BOUNDS).decode(file, "image 3")
    return lambda data: session.run(image, {file: data})


BMPS = {name: (data, meant) for name, data, meant in bmps()}


@pytest.mark.parametrize("kind", BMPS)
def test_bmp_is_read_as_its_header_means_it(decoder: Decode, kind: str) -> None:
    data, meant = BMPS[kind]
    assert np.abs(decoder(data).astype(int) - meant).max() <= 1


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(depth: int, colour: int, interlaced: bool) -> bytes:
    """A PNG of noise in its smallest form: an interlaced one has the same seven passes whatever its pixels are."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    generator = np.random.default_rng(depth + colour)
    width, height = 21, 13
    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [
            (0, 0, 8, 8),
            (4, 0, 8, 8),
            (0, 4, 4, 8),
            (2, 0, 4, 4),
            (0, 2, 2, 4),
            (1, 0, 2, 2),
            (0, 1, 1, 2),
        ]
    rows = b""
    for x, y, step_x, step_y in passes:
        pixels = -(-(width - x) // step_x)
        length = (pixels * channels * depth + 7) // 8
        for _ in range(y, height, step_y):
            rows += b"\0" + generator.bytes(length)
    palette = chunk(b"PLTE", generator.bytes(3 << depth)) if colour == 3 else b""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + palette
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
PNGS = [(depth, colour, i) for colour, depths in DEPTHS.items() for depth in depths for i in (False, True)]


@pytest.mark.parametrize(("depth", "colour", "interlaced"), PNGS)
def test_png_of_every_form_is_read_as_pillow_reads_it(
    decoder: Decode, depth: int, colour: int, interlaced: bool
) -> None:
    image = Image.open(io.BytesIO(png(depth, colour, interlaced)))
    if image.mode.startswith("I"):
        expected = np.repeat(np.asarray(image)[..., None].astype(int) >> 8, 3, axis=2)
    else:
        expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(decoder(png(depth, colour, interlaced)), expected)


def without_adobe(data: bytes) -> bytes:
    """A CMYK JPEG without the segment that says that its colours are inverted."""
    at = data.index(b"\xff\xee")
    return data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") :]


def with_short_adobe(data: bytes) -> bytes:
    """The same with a segment that ends before it says so: libjpeg passes over it."""
    return data[:2] + b"\xff\xee\0\x0cAdobe\0\x64\0\0\0" + without_adobe(data)[2:]


def animation(kind: str, **options: object) -> bytes:
    frames = [picture().rotate(90 * turn).quantize(16) for turn in range(3)]
    if kind == "WEBP":
        frames = [frame.convert("RGBA") for frame in frames]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)


def shifted_frame() -> bytes:
    """A GIF whose only frame begins off the screen's corner, with colours of its own and no others."""
    colours = bytes([10, 200, 30, 250, 90, 0])
    frame = b"\x2c" + struct.pack("<HHHHB", 5, 3, 1, 1, 0x80) + colours + b"\x02\x02\x4c\x01\x00"
    return b"GIF87a" + struct.pack("<HHBBB", 20, 10, 0, 0, 0) + frame + b";"


LIKE_PILLOW = {
    "cmyk jpeg without adobe's segment": without_adobe(encoded(picture().convert("CMYK"), "JPEG")),
    "cmyk jpeg with a short adobe segment": with_short_adobe(encoded(picture().convert("CMYK"), "JPEG")),
    "cmyk jpeg, progressive": encoded(picture().convert("CMYK"), "JPEG", progressive=True),
    "rgb jpeg": encoded(picture(), "JPEG", keep_rgb=True),
    "jpeg with 4:2:2 chroma": encoded(picture(), "JPEG", subsampling=1),
    "jpeg with restarts": encoded(picture(), "JPEG", restart_marker_blocks=2),
    "gray progressive jpeg": encoded(picture().convert("L"), "JPEG", progressive=True),
    "animated png": animation("PNG"),
    "animated png behind a picture of its own": animation("PNG", default_image=True),
    "animated gif that is restored": animation("GIF", disposal=2),
    "interlaced gif": encoded(picture().quantize(16), "GIF", interlace=1),
    "gif of one frame with its own colours": shifted_frame(),
    "animated webp": animation("WEBP"),
    "lossy webp with alpha": encoded(picture().convert("RGBA"), "WEBP", quality=60),
}


@pytest.mark.parametrize("kind", LIKE_PILLOW)
def test_kind_is_read_as_pillow_reads_it(decoder: Decode, kind: str) -> None:
    expected = np.asarray(Image.open(io.BytesIO(LIKE_PILLOW[kind])).convert("RGB")).astype(int)
    assert np.abs(decoder(LIKE_PILLOW[kind]) - expected).max() <= 2


def gif_of_code_size(bits: int) -> bytes:
    at = GIF.index(b"\x2c", 13 + 3 * 16) + 10
    return GIF[:at] + bytes([bits]) + GIF[at + 1 :]


def run_length_encoded(compression: int, bits: int, **options: object) -> bytes:
    return bmp(
        coloured(1 << bits)[0], bits, colours=coloured(1 << bits)[1], compression=compression, **options
    )


NAMED = {
    "lossless jpeg": (of_process(0xC3), "a lossless JPEG, a kind that is not read: save it as a baseline JPEG"),
    "lossless arithmetic jpeg": (of_process(0xCB), "a lossless JPEG"),
    "hierarchical jpeg": (of_process(0xC5), "a hierarchical JPEG"),
    "jpeg-ls": (of_process(0xF7), "a LS JPEG"),
    "12-bit jpeg": (of_process(0xC1, precision=12), "a 12-bit JPEG, a kind that is not read: save it as a baseline"),
    "jpeg of two components": (of_process(0xC0, components=2), "a JPEG of 2 components"),
    "half a jpeg": (JPEG[: len(JPEG) // 2], "a truncated or damaged JPEG: send it whole"),
    "half a progressive jpeg": (
        encoded(picture(), "JPEG", progressive=True)[:-200],
        "a truncated or damaged JPEG: send it whole",
    ),
    "a jpeg's segments alone": (JPEG[: FRAME - 4], "a truncated JPEG: send it whole"),
    "a png for ios": (PNG[:8] + chunk(b"CgBI", b"\x50\0\x20\6") + PNG[8:], "a PNG in the form for iOS"),
    "half a png": (PNG[:-60], "a truncated PNG: send it whole"),
    "a png with too few pixels": (
        PNG[:33] + chunk(b"IDAT", zlib.compress(bytes(50))) + PNG[-12:],
        "a truncated or damaged PNG",
    ),
    "gif of code size 9": (gif_of_code_size(9), "a GIF of LZW code size 9, a kind that is not read .*save it as a PNG"),
    "gif of code size 1": (gif_of_code_size(1), "a GIF of LZW code size 1, a kind that is not read"),
    "gif of code size 12": (gif_of_code_size(12), "a GIF of LZW code size 12"),
    "gif without colours": (GIF[:10] + b"\0" + GIF[11:13] + GIF[13 + 3 * 16 :], "a GIF without colours"),
    "gif of too few codes": (gif(frame(10, 10)), "a truncated or damaged GIF"),
    "rle8 bmp": (run_length_encoded(1, 8), r"a BMP of a kind that is not read \(run-length encoded\)"),
    "rle4 bmp": (run_length_encoded(2, 4, header=108), r"\(run-length encoded\): save it as a PNG"),
    "huffman coded bmp of os/2": (run_length_encoded(3, 1, header=64), r"\(Huffman coded\)"),
    "bmp with a jpeg in it": (bmp(TRUE, 24, compression=4), r"\(with a JPEG in it\)"),
    "bmp of an unknown compression": (bmp(TRUE, 24, compression=77), r"\(compression 77\)"),
    "bmp of 64 bits": (bmp(TRUE, 64), r"\(64 bits a pixel\)"),
    "bmp of an unknown header": (bmp(TRUE, 24, header=200), r"\(its header has 200 bytes\)"),
    "bmp of colours beyond its palette": (bmp(coloured(16)[0], 4, colours=coloured(9)[1]), "beyond its palette of 9"),
    "tiff": (b"II*\0\x08\0\0\0", "a TIFF, not a JPEG, PNG, GIF, BMP or WebP: save it as a PNG or JPEG"),
    "big tiff": (b"MM\0+\0\x08\0\0", "a TIFF"),
    "heic": (b"\0\0\0\x18ftypheic\0\0\0\0", "a HEIC"),
    "heif of several images": (b"\0\0\0\x18ftypmif1\0\0\0\0", "a HEIC"),
    "avif": (b"\0\0\0\x1cftypavif\0\0\0\0", "an AVIF"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG"),
    "pdf": (b"%PDF-1.7\n", "a PDF"),
    "icon": (b"\0\0\1\0\1\0\x20\x20", "an icon"),
    "cursor": (b"\0\0\2\0\1\0\x20\x20", "a cursor"),
    "targa": (b"\0\0\2\0\0\0\0\0\0\0\0\0\x15\0\x0d\0\x18\0", "a Targa"),
    "targa in runs": (b"\0\0\x0a\0\0\0\0\0\0\0\0\0\x15\0\x0d\0\x18\0", "a Targa"),
    "pcx": (b"\x0a\x05\x01\x08\0\0", "a PCX"),
    "sgi": (b"\x01\xda\0\1\0\3", "an SGI image"),
    "png with line ends changed": (b"\x89PNG\n\x1a\n\0", "a PNG whose line ends were changed"),
    "git lfs": (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS: bring"),
    "psd": (b"8BPS\0\1", "a Photoshop file"),
    "jpeg 2000": (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000"),
    "jpeg 2000 without a box": (b"\xff\x4f\xff\x51\0\x2f", "a JPEG 2000"),
    "jpeg xl": (b"\xff\x0a\xfa\x7f", "a JPEG XL"),
    "jpeg xl in a box": (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL"),
    "html": (b"<!DOCTYPE html>", "an HTML page"),
    "base64": (b"/9j/4AAQSkZJRg", "a JPEG in base64: send the bytes"),
    "a sound": (b"RIFF\0\0\0\0WAVEfmt ", "a RIFF file"),
}  # fmt: skip


@pytest.mark.parametrize("kind", NAMED)
def test_kind_that_is_not_read_is_refused_by_name(decoder: Decode, kind: str) -> None:
    data, words = NAMED[kind]
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"image 3 is .*{words}"):
        decoder(data)


def huge(data: bytes, at: int, size: bytes) -> bytes:
    return data[:at] + size + data[at + len(size) :]


KIND_FIRST = {
    "lossless jpeg": (huge(of_process(0xC3), FRAME + 5, b"\xff\xff\xff\xff"), "a lossless JPEG"),
    "rle8 bmp": (
        huge(run_length_encoded(1, 8), 18, b"\xff\xff\xff\x7f\xff\xff\xff\x7f"),
        "run-length encoded",
    ),
    "bmp of an unknown header": (
        huge(bmp(TRUE, 24, header=200), 18, b"\xff\xff\xff\x7f"),
        "its header has 200",
    ),
    "png for ios": (
        NAMED["a png for ios"][0].replace(struct.pack(">II", WIDTH, HEIGHT), b"\x7f\xff" * 4),
        "CgBI",
    ),
}


@pytest.mark.parametrize("kind", KIND_FIRST)
def test_kind_is_judged_before_size_always_in_the_same_words(decoder: Decode, kind: str) -> None:
    data, words = KIND_FIRST[kind]
    said = set()
    for _ in range(20):
        with pytest.raises(tf.errors.InvalidArgumentError) as refused:
            decoder(data)
        said.add(next(line for line in refused.value.message.splitlines() if "image 3" in line))
    assert len(said) == 1
    assert words in said.pop()
