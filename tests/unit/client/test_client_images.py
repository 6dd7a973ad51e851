"""Images as applications have them: what is sent, and what is refused before it is sent."""

from __future__ import annotations

import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from slimserve import Client, InvalidInput, MessageTooLarge
from slimserve.images.given import list_images, prepare
from slimserve.images.orientation import orientation

ROOT = Path(__file__).parents[3]


def encoded(pixels: np.ndarray, kind: str, turned: int | None = None) -> bytes:
    """An image file, with that EXIF orientation."""
    image, file = Image.fromarray(pixels), io.BytesIO()
    exif = Image.Exif()
    if turned is not None:
        exif[0x010F], exif[0x0112] = "maker", turned
    options = (
        {"quality": 95, "subsampling": 0} if kind == "JPEG" else {"lossless": True} if kind == "WEBP" else {}
    )
    image.save(file, kind, **options, **({"exif": exif} if turned is not None else {}))
    return file.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP"])
def test_an_encoded_image_is_sent_as_it_is(kind: str, scene_pixels: np.ndarray, tmp_path: Path) -> None:
    data = encoded(scene_pixels, kind)
    file = tmp_path / "scene"
    file.write_bytes(data)
    for given_bytes in (data, bytearray(data), memoryview(data)):
        assert prepare("x", given_bytes).encoded == data
    assert prepare("x", file).encoded == data
    assert prepare("x", str(file)).encoded == data


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("turned", range(1, 9))
def test_the_orientation_is_found_without_decoding(kind: str, turned: int, scene_pixels: np.ndarray) -> None:
    assert orientation(encoded(scene_pixels, kind, turned)) == turned


@pytest.mark.parametrize("turned", range(2, 9))
def test_a_turned_image_is_sent_upright(turned: int, scene_pixels: np.ndarray) -> None:
    data = encoded(scene_pixels, "PNG", turned)
    undone = {2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud, 5: lambda a: a.transpose(1, 0, 2)}
    undone |= {6: lambda a: np.rot90(a, -1), 7: lambda a: np.rot90(a, 2).transpose(1, 0, 2), 8: np.rot90}
    prepared = prepare("x", data)
    assert prepared.encoded is None
    np.testing.assert_array_equal(prepared.pixels, undone[turned](scene_pixels))


def test_big_endian_exif_is_read(scene_pixels: np.ndarray) -> None:
    tiff = b"MM\0*\0\0\0\x08" + b"\0\x01" + b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0" + b"\0" * 4
    exif = b"Exif\0\0" + tiff
    data = b"\xff\xd8\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + encoded(scene_pixels, "JPEG")[2:]
    assert orientation(data) == 6


@given(st.binary(max_size=60), st.sampled_from(["JPEG", "PNG", "WEBP"]), st.integers(0, 200))
def test_damaged_headers_are_upright_or_what_they_were(noise: bytes, kind: str, position: int) -> None:
    pixels = np.zeros((4, 4, 3), np.uint8)
    data = bytearray(encoded(pixels, kind, 6))
    data[position : position + len(noise)] = noise
    assert 1 <= orientation(bytes(data)) <= 8
    assert 1 <= orientation(bytes(data[:position])) <= 8


def test_pixels_are_sent_as_they_are(scene_pixels: np.ndarray) -> None:
    assert prepare("x", scene_pixels).pixels is scene_pixels


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("RGB", [10, 20, 30]),
        ("L", [18, 18, 18]),
        ("RGBA", [10, 20, 30]),
        ("LA", [18, 18, 18]),
        ("1", [0, 0, 0]),
        ("P", [10, 20, 30]),
        ("CMYK", [10, 20, 30]),
    ],
)
def test_pillow_images_become_rgb(mode: str, expected: list[int]) -> None:
    image = Image.new("RGB", (2, 2), (10, 20, 30))
    image = image.convert("P", palette=Image.Palette.ADAPTIVE) if mode == "P" else image.convert(mode)
    pixels = prepare("x", image).pixels
    assert pixels is not None
    assert np.abs(pixels[0, 0].astype(int) - expected).max() <= 2


def test_a_premultiplied_pillow_image_becomes_rgb() -> None:
    pixels = prepare("x", Image.new("LA", (2, 2), (100, 255)).convert("La")).pixels
    assert pixels is not None
    assert pixels[0, 0].tolist() == [100, 100, 100]


def test_a_pillow_image_that_several_threads_send_is_read_once() -> None:
    """Pillow reads a file when its pixels are asked for, and is no help where two threads ask."""
    expected = np.random.default_rng(5).integers(0, 256, (900, 900, 3), np.uint8)
    data = encoded(expected, "PNG", turned=3)
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            image = Image.open(io.BytesIO(data))
            for prepared in pool.map(prepare, ["x"] * 8, [image] * 8):
                np.testing.assert_array_equal(prepared.pixels, expected[::-1, ::-1])


def test_16_bit_gray_keeps_its_high_byte() -> None:
    image = Image.fromarray(np.array([[0, 0x1234, 0xFFFF]], np.uint16))
    pixels = prepare("x", image).pixels
    assert pixels is not None
    assert pixels[0, :, 0].tolist() == [0, 0x12, 0xFF]


def test_a_turned_pillow_image_is_sent_upright(scene_pixels: np.ndarray) -> None:
    image = Image.open(io.BytesIO(encoded(scene_pixels, "PNG", 6)))
    pixels = prepare("x", image).pixels
    np.testing.assert_array_equal(pixels, np.rot90(scene_pixels, -1))


def released() -> memoryview:
    view = memoryview(b"a file")
    view.release()
    return view


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 4, 3), np.float32), "astype"),
        (np.zeros((4, 4, 3), np.int64), "must have uint8"),
        (np.zeros((4, 4), np.uint8), "repeat the channel"),
        (np.zeros((4, 4, 4), np.uint8), "drop the fourth channel"),
        (np.zeros((3, 4, 4), np.uint8), r"\[height, width, 3\]"),
        (np.zeros((0, 4, 3), np.uint8), "no pixels"),
        (np.zeros((4, 0, 3), np.uint8), "no pixels"),
        (np.zeros(4, np.uint8), r"\[height, width, 3\]"),
        (b"", "is empty"),
        (b"hello", "not a JPEG"),
        (b"II*\0 a tiff", "not a JPEG"),
        ("no/such/file.jpg", "no such file"),
        (ROOT, "is a folder"),
        ("a\0b", "cannot be read"),
        (None, "NoneType"),
        (3.5, "float"),
        (Image.new("F", (2, 2)), "mode F"),
        (Image.new("RGB", (0, 2)), "no pixels"),
        (released(), "cannot be read: .*released"),
    ],
)
def test_what_is_no_image_is_refused_with_what_to_do(image: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        prepare("the image", image)


def test_a_damaged_image_that_must_be_turned_is_refused(scene_pixels: np.ndarray) -> None:
    with pytest.raises(InvalidInput, match="cannot be decoded"):
        prepare("the image", encoded(scene_pixels, "JPEG", 6)[:400])


def test_a_file_over_two_gib_is_not_read(tmp_path: Path) -> None:
    with open(tmp_path / "huge.jpg", "wb") as file:
        file.truncate(1 << 32)
    with pytest.raises(MessageTooLarge, match=r"huge\.jpg: .* 2 GiB"):
        prepare("huge.jpg", tmp_path / "huge.jpg")


@pytest.mark.parametrize(
    ("given_images", "names", "single"),
    [
        ("cat.jpg", ["cat.jpg"], True),
        (Path("cat.jpg"), ["cat.jpg"], True),
        (b"data", ["the image"], True),
        (bytearray(b"data"), ["the image"], True),
        (memoryview(b"data"), ["the image"], True),
        (np.array(["a.jpg", "bc.jpg"]), ["images[0] (a.jpg)", "images[1] (bc.jpg)"], False),
        (np.array([Path("a.jpg"), b"data"], object), ["images[0] (a.jpg)", "images[1]"], False),
        (np.zeros((2, 2, 3), np.uint8), ["the image"], True),
        (["cat.jpg", b"data"], ["images[0] (cat.jpg)", "images[1]"], False),
        (np.zeros((3, 2, 2, 3), np.uint8), ["images[0]", "images[1]", "images[2]"], False),
        ((path for path in [Path("cat.jpg")]), ["images[0] (cat.jpg)"], False),
        ({"b.jpg": 1, "a.jpg": 0}.keys(), ["images[0] (b.jpg)", "images[1] (a.jpg)"], False),
    ],
)
def test_one_image_or_several(given_images: Any, names: list[str], single: bool) -> None:
    listed, is_single = list_images(given_images)
    assert [name for name, _ in listed] == names
    assert is_single == single


def test_a_pillow_image_is_one_image() -> None:
    assert list_images(Image.new("RGB", (2, 2)))[1]


@pytest.mark.parametrize("empty", [[], (), np.zeros((0, 4, 4, 3), np.uint8), iter(())])
def test_an_empty_list_is_refused(empty: Any) -> None:
    with (
        Client("localhost:1", model="m") as client,
        pytest.raises(InvalidInput, match="list is empty"),
    ):
        client.classify(empty)


def test_without_pillow_a_turned_image_names_what_to_install(
    tmp_path: Path, scene_pixels: np.ndarray
) -> None:
    (tmp_path / "turned.jpg").write_bytes(encoded(scene_pixels, "JPEG", 6))
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import importlib.util as util\n"
        "find = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'PIL' else find(name, *rest)\n"
        "from slimserve import Client, InvalidInput\n"
        "try: Client('localhost:1', model='m').classify(sys.argv[2])\n"
        "except InvalidInput as error: print(error)\n"
    )
    command = [sys.executable, "-c", script, str(ROOT), str(tmp_path / "turned.jpg")]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "pip install '.[images]' in the clone" in answer.stdout
