"""What applications give as an image: read, or refused by its kind with what to do, in few words."""

from __future__ import annotations

import array
import base64
import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from slimserve import InvalidInput
from slimserve.images.given import list_images, prepare
from slimserve.images.orientation import orientation

PIXELS = np.random.default_rng(3).integers(0, 256, (24, 32, 3), np.uint8)


def encoded(kind: str = "JPEG", **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, kind, **options)
    return file.getvalue()


class OtherArray:
    """An array of another library."""

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return PIXELS


class Opened:
    """An object with read() alone."""

    def read(self) -> bytes:
        return encoded()


class Upload:
    """A file of a web framework, to be awaited."""

    async def read(self) -> bytes:
        return encoded()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP"])
def test_an_open_file_is_one_image(kind: str) -> None:
    (_, image), *others = list_images(io.BytesIO(encoded(kind)))[0]
    assert not others
    assert prepare("x", image).encoded == encoded(kind)


def test_an_open_file_whose_beginning_was_read_says_so() -> None:
    file = io.BytesIO(encoded())
    file.read(16)
    with pytest.raises(InvalidInput, match=r"read up to byte 16 before.* seek\(0\)"):
        prepare("x", file)


def test_an_image_in_the_middle_of_an_open_file_is_read() -> None:
    file = io.BytesIO(b"header" + encoded())
    file.seek(6)
    assert prepare("x", file).encoded == encoded()


def test_an_object_that_only_reads_is_an_image_alone_and_in_a_list() -> None:
    assert list_images(Opened())[1]
    assert [prepare(name, image).encoded for name, image in list_images([Opened(), Opened()])[0]] == [
        encoded()
    ] * 2


def test_an_array_with_a_files_bytes_is_an_encoded_image() -> None:
    data = np.frombuffer(encoded("PNG"), np.uint8)
    assert list_images(data)[1]
    assert prepare("x", data).encoded == encoded("PNG")
    assert prepare("x", data[:, None]).encoded == encoded("PNG")  # the shape of older cv2.imencode


class Interface:
    """An array that says where it lies."""

    __array_interface__ = PIXELS.__array_interface__


@pytest.mark.parametrize("pixels", [OtherArray(), Interface(), np.asfortranarray(PIXELS), PIXELS[::-1][::-1]])
def test_pixels_are_taken_however_they_lie_in_memory(pixels: Any) -> None:
    np.testing.assert_array_equal(prepare(*list_images(pixels)[0][0]).pixels, PIXELS)


@pytest.mark.parametrize("kind", [bytearray, memoryview, partial(array.array, "B"), np.bytes_])
def test_bytes_of_a_file_are_taken_whatever_holds_them(kind: Callable[[bytes], Any]) -> None:
    (named, *others), is_one = list_images(kind(encoded("PNG")))
    assert is_one
    assert not others
    assert prepare(*named).encoded == encoded("PNG")


@pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="strings of any length came with NumPy 2")
def test_an_array_of_texts_is_a_list_of_paths() -> None:
    texts = np.array(["cat.jpg", "dog.jpg"], np.dtypes.StringDType())
    assert [image for _, image in list_images(texts)[0]] == ["cat.jpg", "dog.jpg"]


def test_a_text_longer_than_a_path_is_cut() -> None:
    given = "/".join(["a" * 60] * 2000)
    with pytest.raises(InvalidInput) as refused:
        prepare(*list_images(given)[0][0])
    assert len(str(refused.value)) < 250


def test_a_path_of_numpy_is_a_path(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(encoded("PNG"))
    assert prepare(*list_images(np.str_(tmp_path / "cat.png"))[0][0]).encoded == encoded("PNG")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


TEXT = base64.b64encode(encoded()).decode()
REFUSED = {
    "base64": (TEXT, r"base64 text of an image: .*b64decode"),
    "base64 of a png": (base64.b64encode(encoded("PNG")).decode(), "base64 text of an image"),
    "base64 in bytes": (TEXT.encode(), "base64 text of an image"),
    "data uri": ("data:image/jpeg;base64," + TEXT, r"data URI: .*b64decode\(uri.split"),
    "address": ("https://example.com/" + "cat" * 100 + ".jpg", "is an address, and the client fetches none"),
    "bucket": ("gs://bucket/cat.jpg", "is an address.*pass the bytes that lie there"),
    "container": ("abfs://container/cat.jpg", "is an address"),
    "a file's address": ("file:///photos/cat.jpg", "is a file's address: pass its path"),
    "hexadecimal": (encoded().hex(), r"hexadecimal text of an image: .*fromhex"),
    "bytes as str() shows them": (str(encoded("PNG")), "bytes of an image made into text"),
    "bytes as Latin-1": (encoded("PNG").decode("latin-1"), "bytes of an image made into text"),
    "a text of one long word": ("cat" * 1000, "cat[.]{3}"),
    "a path in the home": ("~/cat.jpg", "expanduser"),
    "a coroutine": (Upload(), "await image.read"),
    "a text file": (io.StringIO("text"), r"opened as text: .*'rb'"),
    "a file at its end": (io.BytesIO(), r"read to its end before: call its seek\(0\)"),
    "channels first": (PIXELS.transpose(2, 0, 1), r"image.transpose\(1, 2, 0\)"),
    "channels first, scaled": (PIXELS.transpose(2, 0, 1) / 255, "element type float64"),
    "one channel": (PIXELS[..., :1], r"numpy.repeat\(image, 3, axis=-1\)"),
    "16 bits": (PIXELS.astype(np.uint16) * 257, "uint16 .*scale"),
    "64 bits": (PIXELS.astype(np.int64), "int64 .*astype"),
    "truth": (PIXELS > 100, "bool .*255"),
    "a row of numbers": (np.zeros(100, np.uint8), r"shape \(100,\)"),
    "a dict": ({"images": PIXELS}, "is a dict: pass a path"),
    "tiff": (b"II*\0" + bytes(40), "is a TIFF, not a JPEG"),
    "big tiff": (b"MM\0+" + bytes(40), "is a TIFF, not a JPEG"),
    "heic": (b"\0\0\0\x18ftypheic" + bytes(40), "is a HEIC, not a JPEG.*pillow-heif"),
    "avif": (b"\0\0\0\x1cftypavif" + bytes(40), "is an AVIF, not a JPEG"),
    "jpeg 2000": (b"\0\0\0\x0cjP  \r\n\x87\n", "is a JPEG 2000, not a JPEG"),
    "jpeg xl": (b"\xff\x0a" + bytes(40), "is a JPEG XL, not a JPEG"),
    "svg": (b"<svg xmlns=''/>", "is an SVG, not a JPEG"),
    "svg behind a byte order mark": (b"\xef\xbb\xbf<?xml version='1.0'?>", "is an SVG or other XML"),
    "html": (b"<!DOCTYPE html><p>sign in", "is an HTML page.*login"),
    "pdf": (b"%PDF-1.7", "is a PDF, not a JPEG"),
    "icon": (b"\0\0\1\0\1\0", "is an icon"),
    "targa": (b"\0\0\2" + bytes(9) + b"\x15\0\x0d\0\x18\0", "is a Targa"),
    "pcx": (b"\x0a\x05\x01\x08", "is a PCX"),
    "dds": (b"DDS \x7c", "is a DDS"),
    "sgi": (b"\x01\xda\0\1", "is an SGI image"),
    "psd": (b"8BPS\0\1", "is a Photoshop file"),
    "zip": (b"PK\3\4", "is a zip file"),
    "exr": (b"v/1\1" + bytes(40), "is an image of high dynamic range"),
    "qoi": (b"qoif" + bytes(10), "is a QOI"),
    "dicom": (bytes(128) + b"DICM", "is a DICOM"),
    "git lfs": (b"version https://git-lfs.github.com/spec/v1", "is a pointer of Git LFS"),
    "png with line ends changed": (encoded("PNG").replace(b"\r\n", b"\n"), "is a PNG whose line ends were changed"),
    "bytes read as UTF-8": (encoded().decode("utf-8", "replace").encode(), "read as text on the way, .*: they are"),
    "behind a byte order mark": (b"\xef\xbb\xbf" + encoded("PNG"), r"has 3 bytes before its picture: .*data\[3:\]"),
    "behind a blank line": (b"\r\n" + encoded(), r"has 2 bytes before its picture: .*data\[2:\]"),
    "masked": (np.ma.masked_array(PIXELS, mask=PIXELS > 100), r"is a masked array: .*filled\(0\)"),
    "an error of a service": (b'{"error": "no such image"}', "is JSON"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_image_is_named_in_few_words(kind: str) -> None:
    image, words = REFUSED[kind]
    (name, image), *_ = list_images(image)[0]
    with pytest.raises(InvalidInput, match=words) as refused:
        prepare(name, image)
    assert len(str(refused.value)) < 250


def test_a_long_path_keeps_its_name(tmp_path: Path) -> None:
    path = tmp_path / ("a" * 90) / "cat.jpg"
    with pytest.raises(InvalidInput, match=r"a/cat\.jpg: there is no such file"):
        prepare(*list_images(str(path))[0][0])


def xmp(turned: int) -> bytes:
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="{turned}"/></x:xmpmeta>'.encode()


def exif(turned: int) -> bytes:
    tags = Image.Exif()
    tags[0x0112] = turned
    return tags.tobytes()


def png_with(*chunks: bytes) -> bytes:
    data = encoded("PNG")
    return data[:33] + b"".join(chunks) + data[33:]


def international(text: bytes, packed: bool) -> bytes:
    body = zlib.compress(text) if packed else text
    return chunk(b"iTXt", b"XML:com.adobe.xmp\0" + bytes([packed, 0]) + b"\0\0" + body)


PROFILE = b"\nexif\n      34\n" + exif(8).hex().encode()
TURNED = {
    "exif of a jpeg": encoded(exif=exif(6)),
    "exif of a jpeg behind bytes that are no marker": encoded(exif=exif(6)).replace(
        b"\xff\xe1", b"junk\xff\xe1", 1
    ),
    "exif of a jpeg in a signed number": encoded(
        exif=exif(6)
        .replace(b"\x12\x01\x03\0", b"\x12\x01\x09\0")
        .replace(b"\x01\x12\0\x03", b"\x01\x12\0\x09")
    ),
    "xmp of a jpeg": encoded(xmp=xmp(8)),
    "both in a jpeg, exif counts": encoded(exif=exif(3), xmp=xmp(8)),
    "exif of a png": encoded("PNG", exif=exif(5)),
    "exif behind the pixels of a png": encoded("PNG")[:-12]
    + chunk(b"eXIf", exif(6)[6:])
    + encoded("PNG")[-12:],
    "xmp of a png": png_with(international(xmp(6), packed=False)),
    "packed xmp of a png": png_with(international(xmp(7), packed=True)),
    "exif in a text of a png": png_with(chunk(b"tEXt", b"Raw profile type exif\0" + PROFILE)),
    "exif in a packed text of a png": png_with(
        chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(PROFILE))
    ),
    "exif of a webp": encoded("WEBP", exif=exif(6)),
    "xmp of a webp": encoded("WEBP", xmp=xmp(3)),
    "xmp that is no number of 1 to 8": encoded(xmp=xmp(9)),
    "none": encoded(),
}


@pytest.mark.parametrize("kind", TURNED)
def test_one_rule_turns_paths_bytes_files_and_pillow_images(kind: str, tmp_path: Path) -> None:
    data = TURNED[kind]
    (tmp_path / "turned").write_bytes(data)
    expected = prepare("x", Image.open(io.BytesIO(data))).pixels
    for given in (data, tmp_path / "turned", io.BytesIO(data)):
        np.testing.assert_array_equal(prepare("x", given).to_pixels(), expected)
    picture = Image.open(io.BytesIO(data))
    picture.load()
    assert orientation(data) == (tag if (tag := picture.getexif().get(0x0112, 1)) in range(1, 9) else 1)


class Response:
    """What an HTTP library answers: its bytes, and a way to pass over them."""

    content = encoded()

    def __iter__(self) -> Iterator[bytes]:
        return iter([self.content])


def test_a_response_says_to_pass_its_bytes() -> None:
    with pytest.raises(InvalidInput, match="the image is a Response: pass the bytes in it, its content"):
        list_images(Response())


def test_a_path_inside_an_archive_is_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("a.jpg", encoded())
    inside = zipfile.Path(tmp_path / "photos.zip", "a.jpg")
    ((name, image),), _ = list_images(inside)
    assert prepare(name, image).encoded == encoded()
