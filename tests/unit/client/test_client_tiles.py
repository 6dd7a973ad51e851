"""Images cut into tiles: where, by what a network sees, and what comes of it on a real one."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from slimserve import AsyncClient, Client, InvalidInput, ServerError
from slimserve.tasks.tiling import Tiling, overlap_for

from tests.unit.client.conftest import PREDICT, ScriptedServer, predict_answer
from tests.unit.client.tiled_network import REACH, UNKNOWN, chart, labels_of, network_with_reach

Start = Callable[..., ScriptedServer]


@given(
    length=st.integers(1, 60_000),
    tile=st.integers(1, 3000),
    overlap=st.integers(0, 1000) | st.sampled_from([0, 31, 32, 33, 480]),
)
def test_tiles_cover_an_axis_once_on_the_grid_and_share_the_overlap(
    length: int, tile: int, overlap: int
) -> None:
    try:
        tiling = Tiling(tile, overlap, 1)
    except InvalidInput:
        assert tile < overlap + 63
        return
    spans = [cut.columns for cut in tiling.cut(1, length)]
    assert [spans[0].kept.start, spans[-1].kept.stop] == [0, length]
    for span in spans:
        assert 0 <= span.sent.start <= span.kept.start < span.kept.stop <= span.sent.stop <= length
        assert span.sent.stop - span.sent.start <= tile
        assert span.sent.start % 32 == 0
    for span, following in itertools.pairwise(spans):
        assert span.kept.stop == following.kept.start
        assert 2 * (span.sent.stop - span.kept.stop) >= overlap
        assert 2 * (following.kept.start - following.sent.start) >= overlap


def test_the_overlap_covers_what_the_layers_of_vgg_16_see() -> None:
    field, stride = 1, 1
    for convolutions in (2, 2, 3, 3, 3):
        field += 2 * stride * convolutions  # 3x3
        field += stride  # 2x2, stride 2
        stride *= 2
    field += 6 * stride  # fc6, 7x7
    assert (field, stride) == (404, 32)
    assert overlap_for(None) == overlap_for(field) == 480
    assert field / 2 + stride <= overlap_for(field) / 2


@pytest.mark.parametrize("field", [323, 483, 1027])
def test_the_overlap_is_what_the_model_says_that_it_sees(scripted: Start, field: int) -> None:
    server = scripted()
    reach = field // 2 + 1 + 32
    server.answers[PREDICT] = network_with_reach(1300, 3100, reach, receptive_field=field)
    with Client(server.address, model="resnet") as client:
        assert client.receptive_field() == field
        tiled = client.segment(chart(1300, 3100), tile=1280)
        np.testing.assert_array_equal(tiled.label_map, labels_of(1300, 3100))
        too_narrow = client.segment(chart(1300, 3100), tile=1280, overlap=2 * reach - 64)
        assert (too_narrow.label_map == UNKNOWN).any()


def test_a_model_that_does_not_say_what_it_sees_is_taken_for_vgg_16(scripted: Start) -> None:
    server = scripted()
    server.answers[PREDICT] = network_with_reach(600, 2500)
    with Client(server.address, model="vgg_16") as client:
        assert client.receptive_field() is None


def test_a_receptive_field_that_is_none_is_an_error(scripted: Start) -> None:
    server = scripted()
    server.answers[PREDICT] = lambda request, context: predict_answer(receptive_field=["far"])
    with (
        Client(server.address, model="vgg_16") as client,
        pytest.raises(ServerError, match=r"'receptive_field' as string \[1\] where integer"),
    ):
        client.receptive_field()


def test_a_tile_within_what_the_model_sees_says_what_to_do(scripted: Start) -> None:
    server = scripted()
    server.answers[PREDICT] = network_with_reach(1300, 3100, receptive_field=1027)
    with (
        Client(server.address, model="resnet") as client,
        pytest.raises(InvalidInput, match=r"1024 pixels is too small.* at least 1152, or a smaller overlap"),
    ):
        client.segment(chart(1300, 3100), tile=1024)


def test_no_label_is_kept_that_what_was_cut_away_decides(scripted: Start) -> None:
    server = scripted()
    server.answers[PREDICT] = network_with_reach(1700, 2500)
    with Client(server.address, model="vgg_16") as client:
        tiled = client.segment(chart(1700, 2500), tile=1024)
        np.testing.assert_array_equal(tiled.label_map, labels_of(1700, 2500))
        assert tiled.class_names[7] == "class 7"
        too_narrow = client.segment(chart(1700, 2500), tile=1024, overlap=2 * REACH - 64)
        assert (too_narrow.label_map == UNKNOWN).any()


async def test_the_async_client_stitches_the_same(scripted: Start) -> None:
    server, loop_thread = scripted(), threading.get_ident()
    server.answers[PREDICT] = network_with_reach(700, 2500)
    told: list[tuple[int, int, int]] = []
    async with AsyncClient(server.address, model="vgg_16") as client:
        tiled = await client.segment(
            chart(700, 2500),
            tile=1024,
            progress=lambda *counts: told.append((*counts, threading.get_ident())),
        )
    np.testing.assert_array_equal(tiled.label_map, labels_of(700, 2500))
    assert told == [(done, 4, loop_thread) for done in range(1, 5)]


def test_a_cell_of_the_real_network_sees_as_far_as_the_arithmetic_says(engine: str, demo_scene: Path) -> None:
    """The 404 pixels of cell i begin at 32 i - 186: cell 6 of a tile is the first that its left edge leaves alone."""
    pixels = np.asarray(Image.open(demo_scene).resize((640, 64)))
    with Client(engine, model="vgg_16") as client:
        whole = client.predict({"images": pixels[None]}, signature="logits")["logits"][0]
        cut = client.predict({"images": pixels[None, :, 256:]}, signature="logits")["logits"][0]
    difference = np.abs(whole[:, 8:] - cut).max(axis=(0, 2)) / np.abs(whole).max()
    assert difference[6:].max() < 1e-5
    assert difference[:6].min() > 1e-5


def test_on_the_real_network_tiles_answer_what_the_whole_image_answers(
    engine: str, demo_scene: Path, tmp_path: Path
) -> None:
    picture = Image.open(demo_scene).resize((64, 1024))
    picture.save(tmp_path / "long.png")
    with Client(engine, model="vgg_16") as client:
        whole = client.segment(tmp_path / "long.png")
        tiled = client.segment(tmp_path / "long.png", tile=768)
    assert len(whole.areas()) > 1
    np.testing.assert_array_equal(tiled.label_map, whole.label_map)
    assert tiled.areas() == whole.areas()
    assert tiled.overlay(legend=False).size == (64, 1024)
