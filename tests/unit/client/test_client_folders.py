"""Which files of a folder are images: what their first bytes say; and what is said of the rest."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image
from slimserve.cli.files import describe_left_out, find_images, name_results


def encode(kind: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (20, 10)).save(file, kind)
    return file.getvalue()


IMAGES = {
    "chrome.jfif": "JPEG",
    "old.jpe": "JPEG",
    "paint.dib": "BMP",
    "moving.apng": "PNG",
    "no_suffix": "GIF",
    "w.PHOTO": "WEBP",
}
OTHERS = {
    "notes.txt": b"text",
    "scan.tif": b"II*\0" + bytes(30),
    "page.tiff": b"MM\0*" + bytes(30),
    "empty": b"",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, kind in IMAGES.items():
        (tmp_path / name).write_bytes(encode(kind))
    for name, data in OTHERS.items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


def test_images_are_found_by_their_first_bytes(folder: Path) -> None:
    assert {path.name for path in find_images([folder])} == set(IMAGES)


def test_what_is_left_out_is_counted_by_its_kind(folder: Path) -> None:
    left_out: Counter[str] = Counter()
    find_images([folder], left_out=left_out)
    assert left_out == {"TIFF": 2, "no image": 2}
    words = describe_left_out(left_out)
    assert words.startswith("4 files of the folders were left out: ")
    assert "2 TIFF" in words
    assert "2 no image" in words


def test_one_file_that_is_left_out_is_one() -> None:
    assert describe_left_out(Counter({"TIFF": 1})) == "1 file of the folders was left out: 1 TIFF"


def test_a_file_that_is_called_an_image_is_not_left_out(folder: Path) -> None:
    (folder / "broken.jpg").write_bytes(b"no image")
    assert folder / "broken.jpg" in find_images([folder])


def test_nothing_is_said_where_nothing_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(encode("PNG"))
    left_out: Counter[str] = Counter()
    assert find_images([tmp_path], left_out=left_out) == [tmp_path / "a"]
    assert describe_left_out(left_out) == ""


def test_results_beside_images_without_a_suffix_are_no_images(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(encode("PNG"))
    for name in ("a.overlay.png", "a.labels.png"):
        (tmp_path / name).write_bytes(encode("PNG"))
    assert find_images([tmp_path], tmp_path) == [tmp_path / "a"]


def test_a_text_that_begins_like_a_bitmap_is_no_image(folder: Path) -> None:
    (folder / "cars.txt").write_text("BMW is a maker of cars, and this is a text")
    assert {path.name for path in find_images([folder])} == set(IMAGES)


def test_linked_folders_are_searched_once(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "photo.png").write_bytes(encode("PNG"))
    for name in ("first", "second"):
        (folder / name).symlink_to(elsewhere)
    (folder / "itself").symlink_to(folder)
    (elsewhere / "back").symlink_to(folder.parent)
    assert {path.name for path in find_images([folder])} == {*IMAGES, "photo.png"}
    assert sum(path.name == "photo.png" for path in find_images([folder])) == 1


def test_results_of_two_images_never_have_one_name(tmp_path: Path) -> None:
    images = [tmp_path / name for name in ("x/a.png", "y/a.png", "y/a.png-2", "z/A.PNG")]
    results = name_results(images, tmp_path / "out", ["overlay"])
    names = [paths["overlay"].name for paths in results]
    assert names == ["a.png.overlay.png", "a.png-3.overlay.png", "a.png-2.overlay.png", "A.PNG-4.overlay.png"]
