"""What the truth says of each image: tables, folders of classes, folders of label maps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from slimserve import InvalidInput
from slimserve.cli.files import find_images
from slimserve.cli.verbs.evaluate.classes import Classes
from slimserve.cli.verbs.evaluate.truth.find import Truth, find_truth, without_truth
from slimserve.cli.verbs.evaluate.truth.label_files import read_label_file

NAMES = ("photos/a.png", "photos/b.png", "photos/deep/c.png")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in NAMES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (4, 3)).save(tmp_path / name)
    return tmp_path / "photos"


@pytest.fixture
def table(photos: Path, tmp_path: Path) -> Callable[[str], Truth]:
    def read(text: str) -> Truth:
        (tmp_path / "truth.csv").write_text(text, "utf-8")
        return find_truth(photos, find_images([photos]), tmp_path / "truth.csv", None)

    return read


@pytest.mark.parametrize(
    "text",
    [
        "a.png,cat\nb.png,dog\n",
        "file,class\na.png,cat\nb.png,dog\n",
        "\ufefffile;class\r\na.png;cat\r\nb.png;dog\r\n",
        "a\tcat\nb\tdog",
        "a.png cat\nb.png dog\n\n",
        "./a.png,cat\nb.png,dog\nb.png,dog\n",
    ],
)
def test_a_table_names_files_and_classes(table: Callable[[str], Truth], text: str) -> None:
    truth = table(text)
    assert (truth.task, list(truth.of), list(truth.unused)) == ("classify", ["cat", "dog", None], [])


def test_a_name_with_a_comma_stands_in_quotation_marks(table: Callable[[str], Truth]) -> None:
    assert table('a.png,"tench, Tinca tinca"').of[0] == "tench, Tinca tinca"
    with pytest.raises(InvalidInput, match=r"line 1 of .* has 3 fields .* quotation marks"):
        table("a.png,tench, Tinca tinca")


@pytest.mark.parametrize("delimiter", "\t;")
def test_what_stands_between_file_and_class_is_no_comma_of_a_name(
    table: Callable[[str], Truth], delimiter: str
) -> None:
    rows = (("file", "class, in words"), ("a.png", "tench, Tinca tinca"), ("b.png", "dog"))
    assert list(table("\n".join(map(delimiter.join, rows))).of) == ["tench, Tinca tinca", "dog", None]


def test_a_quoted_name_may_have_any_character(table: Callable[[str], Truth]) -> None:
    assert table('a.png,"two\nlines"\nb.png,one\u2028line\n').of[:2] == ["two\nlines", "one\u2028line"]


def test_rows_without_an_image_are_told(table: Callable[[str], Truth]) -> None:
    truth = table("gone.png,cat\na.png,cat\nlost.png,dog\nc.png,cat\n")
    assert list(truth.of) == ["cat", None, "cat"]
    assert list(truth.unused) == ["gone.png", "lost.png"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.png,cat\na.png,dog", "line 2 of .*: a.png is 'dog' here and 'cat' before"),
        ("z.png,cat", "nothing of any of 3 images"),
        ("a.png,", "must have a file and a class"),
    ],
)
def test_a_table_that_cannot_be_right_is_refused(
    table: Callable[[str], Truth], text: str, message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        table(text)


def test_a_name_of_several_images_needs_its_path(photos: Path, table: Callable[[str], Truth]) -> None:
    Image.new("RGB", (4, 3)).save(photos / "deep" / "a.png")
    with pytest.raises(InvalidInput, match=r"line 1 of .*: a may be any of 2 images"):
        table("a,cat")
    assert list(table("a.png,cat\ndeep/a.png,dog").of) == ["cat", None, "dog", None]


def test_the_folder_itself_may_hold_a_folder_for_each_class(photos: Path) -> None:
    truth = find_truth(photos, find_images([photos]), photos, None)
    assert (truth.task, list(truth.of)) == ("classify", [None, None, "deep"])


def test_a_folder_for_each_class_elsewhere_holds_files_of_the_same_names(
    photos: Path, tmp_path: Path
) -> None:
    for name in ("cat/a.png", "dog/b.png", "dog/gone.png"):
        path = tmp_path / "classes" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (1, 1)).save(path)
    truth = find_truth(photos, find_images([photos]), tmp_path / "classes", None)
    assert (truth.task, list(truth.of)) == ("classify", ["cat", "dog", None])
    assert list(truth.unused) == ["gone.png"]
    Image.new("RGB", (1, 1)).save(tmp_path / "classes" / "dog" / "a.png")
    with pytest.raises(InvalidInput, match="lies in several classes"):
        find_truth(photos, find_images([photos]), tmp_path / "classes", None)


def test_label_maps_are_called_like_their_images(photos: Path, tmp_path: Path) -> None:
    maps = tmp_path / "maps"
    for name in ("a.png", "deep/c.png", "z.png"):
        (maps / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 3)).save(maps / name)
    truth = find_truth(photos, find_images([photos]), maps, None)
    assert (truth.task, list(truth.of)) == ("segment", [maps / "a.png", None, maps / "deep/c.png"])
    assert list(truth.unused) == [str(maps / "z.png")]


def test_label_maps_inside_the_folder_are_no_images(photos: Path) -> None:
    Image.new("L", (4, 3)).save(photos / "deep" / "a.png")
    images = list(without_truth(find_images([photos]), photos / "deep", photos))
    assert images == [photos / "a.png", photos / "b.png"]


def test_a_table_is_no_truth_for_segment(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "truth.csv").write_text("a.png,cat")
    with pytest.raises(InvalidInput, match="for segment, name a folder of label maps"):
        find_truth(photos, find_images([photos]), tmp_path / "truth.csv", "segment")


class TestClasses:
    """Which class a text means."""

    classes = Classes(["cat", "crane", "7", "crane", "dog"], ["n0", "n1", "n2", "n3", "n4"])

    @pytest.mark.parametrize(
        ("text", "id"), [("cat", 0), ("n4", 4), ("4", 4), ("7", 2), ("5", None), ("x", None)]
    )
    def test_a_class_is_found_by_name_identifier_or_number(self, text: str, id: int | None) -> None:
        assert self.classes.find(text) == id

    def test_a_name_of_several_classes_is_refused(self) -> None:
        with pytest.raises(InvalidInput, match="use their numbers, 1 and 3"):
            self.classes.find("crane")


LABELS = np.array([[0, 1, 2], [3, 1, 0]], np.uint8)


def palette(labels: np.ndarray) -> Image.Image:
    image = Image.fromarray(labels, "P")
    image.putpalette([200, 10, 30] * 256)
    return image


def gray_of_bits(labels: np.ndarray, bits: int) -> bytes:
    """A grayscale PNG of less than 8 bits a pixel, which Pillow does not write."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b""
    for row in labels.tolist():
        text = "".join(f"{value:0{bits}b}" for value in row)
        text += "0" * (-len(text) % 8)
        rows += b"\0" + int(text, 2).to_bytes(len(text) // 8, "big")
    header = struct.pack(">IIBBBBB", labels.shape[1], labels.shape[0], bits, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@pytest.mark.parametrize("kind", ["palette", "gray", "16 bits", "2 bits", "4 bits"])
def test_a_label_map_holds_class_ids(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "map.png"
    if kind == "palette":
        palette(LABELS).save(path)
    elif kind == "gray":
        Image.fromarray(LABELS).save(path)
    elif kind == "16 bits":
        Image.fromarray(LABELS.astype(np.uint16)).save(path)
    else:
        path.write_bytes(gray_of_bits(LABELS, int(kind[0])))
    np.testing.assert_array_equal(read_label_file(path, (2, 3)), LABELS)


def test_a_label_map_of_one_bit_holds_0_and_1(tmp_path: Path) -> None:
    (tmp_path / "map.png").write_bytes(gray_of_bits(LABELS % 2, 1))
    np.testing.assert_array_equal(read_label_file(tmp_path / "map.png", (2, 3)), LABELS % 2)


def test_colours_another_size_and_another_kind_are_no_label_map(tmp_path: Path) -> None:
    Image.new("RGB", (3, 2)).save(tmp_path / "rgb.png")
    with pytest.raises(InvalidInput, match="holds colours"):
        read_label_file(tmp_path / "rgb.png", (2, 3))
    Image.fromarray(LABELS).save(tmp_path / "map.png")
    with pytest.raises(InvalidInput, match="is 3x2 pixels and its image 2x3"):
        read_label_file(tmp_path / "map.png", (3, 2))
    Image.fromarray(LABELS).save(tmp_path / "map.jpg")
    with pytest.raises(InvalidInput, match="is no PNG"):
        read_label_file(tmp_path / "map.jpg", (2, 3))
