"""Pictures of label maps: colours, outlines, legend."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageFilter, ImageFont
from slimserve import Segmentation, ServerError
from slimserve.images.given import PreparedImage
from slimserve.pictures import legend
from slimserve.pictures.overlay import _outlines
from slimserve.pictures.palette import colours

NAMES = {id: f"class {id}" for id in range(70_000)}


def scene(label_map: np.ndarray, pixels: np.ndarray | None = None) -> Segmentation:
    if pixels is None:
        pixels = np.full((*label_map.shape, 3), 128, np.uint8)
    return Segmentation(label_map, NAMES, 1, PreparedImage("the image", pixels=pixels).to_pillow)


def halves(height: int, width: int, left: int = 0, right: int = 1) -> np.ndarray:
    label_map = np.full((height, width), left, np.uint8)
    label_map[:, width // 2 :] = right
    return label_map


def contains(picture: Image.Image, colour: np.ndarray) -> bool:
    return bool((np.asarray(picture) == colour).all(axis=-1).any())


def test_a_class_has_its_colour_in_every_picture() -> None:
    first = np.asarray(scene(halves(40, 60, 3, 1)).overlay(legend=False))
    second = np.asarray(scene(halves(30, 80, 5, 3)).overlay(legend=False))
    assert first[20, 10].tolist() == second[15, 70].tolist()
    assert first[20, 10].tolist() != first[20, 50].tolist()


def test_the_colours_of_the_first_classes_are_easy_to_tell_apart() -> None:
    palette = colours(np.arange(32)).astype(float)
    distances = np.linalg.norm(palette[:, None] - palette[None], axis=-1) + np.eye(32) * 1000
    assert distances.min() > 30


def test_a_colour_depends_on_the_id_alone() -> None:
    np.testing.assert_array_equal(colours([7, 3])[1], colours(np.arange(1000))[3])
    assert colours([65535]).shape == (1, 3)


def test_opacity_goes_from_the_muted_picture_to_the_colour() -> None:
    pixels = np.full((20, 20, 3), 200, np.uint8)
    label_map = np.zeros((20, 20), np.uint8)
    clear = scene(label_map, pixels).overlay(opacity=0.0, legend=False)
    full = scene(label_map, pixels).overlay(opacity=1.0, legend=False)
    assert np.asarray(clear)[10, 10].tolist() == [200, 200, 200]
    assert np.asarray(full)[10, 10].tolist() == colours([0])[0].tolist()


def test_regions_are_outlined() -> None:
    picture = np.asarray(scene(halves(40, 60), np.zeros((40, 60, 3), np.uint8)).overlay(legend=False))
    assert picture[20, 30].min() > 200
    assert picture[20, 15].min() < 200


def test_outlines_are_as_thick_as_a_filter_over_the_borders_makes_them() -> None:
    label_map = (np.random.default_rng(3).random((1300, 1250)) > 0.9999).astype(np.uint8)
    border = np.zeros(label_map.shape, np.uint8)
    border[:, 1:] |= label_map[:, 1:] != label_map[:, :-1]
    border[1:] |= label_map[1:] != label_map[:-1]
    expected = np.asarray(Image.fromarray(border).filter(ImageFilter.MaxFilter(5)))
    np.testing.assert_array_equal(np.asarray(_outlines(label_map)) > 0, expected > 0)


@pytest.mark.parametrize("size", [(1, 1), (31, 33), (40, 400), (400, 40), (300, 300), (1080, 1920)])
def test_the_picture_keeps_its_size_and_place_beside_a_legend_with_every_class(size: tuple[int, int]) -> None:
    segmentation = scene(halves(*size))
    plain, with_legend = segmentation.overlay(legend=False), segmentation.overlay()
    assert plain.size == size[::-1]
    assert with_legend.crop((0, 0, *plain.size)).tobytes() == plain.tobytes()
    for area in segmentation.areas():
        assert contains(with_legend, colours([area.id])[0])
    assert min(with_legend.size) >= 25


def test_the_legend_sums_up_what_it_has_no_room_for() -> None:
    many = np.arange(10_000, dtype=np.uint16).reshape(100, 100)
    assert scene(many).overlay().height < 1000


def test_long_names_do_not_widen_the_picture_without_end() -> None:
    segmentation = Segmentation(
        halves(300, 300), {0: "a" * 500, 1: "b, " * 500}, 1, scene(halves(300, 300))._picture
    )
    assert segmentation.overlay().width < 800


def test_an_encoded_image_is_drawn_on() -> None:
    file = io.BytesIO()
    Image.new("L", (60, 40), 90).save(file, "PNG")
    segmentation = Segmentation(
        halves(40, 60), NAMES, 1, PreparedImage("x", encoded=file.getvalue()).to_pillow
    )
    assert segmentation.overlay(legend=False).size == (60, 40)


def test_a_label_map_of_another_size_than_the_image_is_the_servers_fault() -> None:
    with pytest.raises(ServerError, match="60x40"):
        scene(halves(40, 60), np.zeros((20, 20, 3), np.uint8)).overlay()


def test_the_label_image_holds_the_ids_under_the_overlays_colours() -> None:
    file = io.BytesIO()
    scene(halves(40, 60, 7, 255)).label_image().save(file, "PNG")
    image = Image.open(file)
    assert image.mode == "P"
    np.testing.assert_array_equal(np.asarray(image), halves(40, 60, 7, 255))
    assert np.asarray(image.convert("RGB"))[0, 0].tolist() == colours([7])[0].tolist()


def test_ids_over_255_make_a_16_bit_label_image() -> None:
    label_map = np.array([[0, 999], [256, 65535]], np.uint16)
    file = io.BytesIO()
    scene(label_map).label_image().save(file, "PNG")
    np.testing.assert_array_equal(np.asarray(Image.open(file)), label_map)


def drawn_name(name: str) -> str:
    (row,) = legend.Legend([(name, 7, 1.0)], 20, None)._rows
    return row.name


@pytest.mark.parametrize("name", ["Größe", "Łódź", "Привет", "½ – •"])
def test_a_name_with_other_letters_is_drawn_in_a_font_that_has_them(name: str) -> None:
    try:
        ImageFont.truetype("DejaVuSans.ttf")
    except OSError:
        pytest.skip("DejaVu Sans is not installed")
    assert drawn_name(name) == name


@pytest.mark.parametrize(("name", "drawn"), [("tree", "tree"), ("forêt", "foret"), ("Привет", "class 7")])
def test_without_such_a_font_no_box_stands_for_a_letter(
    name: str, drawn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(legend, "_FONTS", ())
    assert drawn_name(name) == drawn
