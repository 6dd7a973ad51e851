"""Images cut into tiles: where, by what a network sees, and what comes of it on a real one."""

from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
import os
import re
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tensorflow_serving.apis import predict_pb2

from client import AsyncClient, Client, InvalidInput, ServerError
from client._cli.main import main
from client._images import prepare
from client._tiles import Tiling, overlap_for
from tests.client.conftest import PREDICT, Answer, ScriptedServer, predict_answer

ROOT = Path(__file__).parents[2]
Start = Callable[..., ScriptedServer]

REACH = (
    404 // 2 + 32
)  # pixels: half of what a logits cell of VGG-16 sees, and the cell that interpolation reaches
UNKNOWN = 255


def chart(height: int, width: int) -> np.ndarray:
    """uint8 [H,W,3] whose pixels tell where they are: column and row over 32, and whether both are multiples."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.arange(width) // 32
    pixels[..., 1] = np.arange(height)[:, None] // 32
    pixels[::32, ::32, 2] = 1
    return pixels


def place_labels(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """A label for each pixel that depends on its place alone."""
    return (rows // 3 % 125)[:, None].astype(np.uint8) + (columns // 5 % 125).astype(np.uint8)


def labels_of(height: int, width: int) -> np.ndarray:
    return place_labels(np.arange(height), np.arange(width))


def network_with_reach(
    height: int, width: int, reach: int = REACH, version: int = 1, receptive_field: int | None = None
) -> Answer:
    """Answers tiles of a chart by place, but UNKNOWN where the label depends on what was cut away.

    `receptive_field` is what the model says of itself, if it does.
    """

    def visible(start: int, size: int, whole: int) -> np.ndarray:
        inside = np.arange(size)
        left = inside >= reach if start else np.ones(size, bool)
        right = inside < size - reach if start + size < whole else np.ones(size, bool)
        return left & right

    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        asked = predict_pb2.PredictRequest.FromString(request)
        response = predict_pb2.PredictResponse()
        response.model_spec.version.value = version
        if asked.model_spec.signature_name == "labels":
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "it has no names")
        if asked.model_spec.signature_name == "logits":
            if receptive_field is None:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, "output tensor alias not found in signature")
            return predict_answer(receptive_field=[receptive_field])
        sent = asked.inputs["images"]
        tile_height, tile_width = (dim.size for dim in sent.tensor_shape.dim[1:3])
        column, row, on_grid = sent.tensor_content[:3]
        if not on_grid:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the tile does not begin on the grid")
        rows, columns = 32 * row + np.arange(tile_height), 32 * column + np.arange(tile_width)
        seen = visible(32 * row, tile_height, height)[:, None] & visible(32 * column, tile_width, width)[None]
        labels = np.where(seen, place_labels(rows, columns), np.uint8(UNKNOWN))
        output = response.outputs["label_map"]
        output.dtype = 4  # DT_UINT8
        for size in (1, tile_height, tile_width):
            output.tensor_shape.dim.add(size=size)
        output.tensor_content = labels.tobytes()
        return response.SerializeToString()

    return answer


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
        pytest.raises(ServerError, match="'receptive_field' as object"),
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


def test_progress_is_told_after_each_tile_in_the_callers_thread(scripted: Start) -> None:
    server = scripted()
    server.answers[PREDICT] = network_with_reach(1300, 2500)
    told: list[tuple[int, int, int]] = []
    with Client(server.address, model="vgg_16") as client:
        client.segment(
            chart(1300, 2500),
            tile=1024,
            progress=lambda *counts: told.append((*counts, threading.get_ident())),
        )
    assert told == [(done, 8, threading.get_ident()) for done in range(1, 9)]


def test_tiles_are_spread_over_the_replicas_two_at_a_time_each(scripted: Start) -> None:
    network, lock, now, most = network_with_reach(640, 6000), threading.Lock(), [0], [0]

    def slow(request: bytes, context: grpc.ServicerContext) -> bytes:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.05)
        try:
            return network(request, context)
        finally:
            with lock:
                now[0] -= 1

    servers = [scripted(), scripted()]
    for server in servers:
        server.answers[PREDICT] = slow
    with Client([server.address for server in servers], model="vgg_16") as client:
        tiled = client.segment(chart(640, 6000), tile=640)
    np.testing.assert_array_equal(tiled.label_map, labels_of(640, 6000))
    assert most[0] == 4
    assert min(len(server.calls) for server in servers) > 10


def test_the_version_that_answers_the_first_tile_answers_all(scripted: Start) -> None:
    server, asked = scripted(), []
    network = network_with_reach(600, 2500, version=3)

    def note(request: bytes, context: grpc.ServicerContext) -> bytes:
        spec = predict_pb2.PredictRequest.FromString(request).model_spec
        if spec.signature_name == "segment":
            asked.append((spec.version_label, spec.version.value))
        return network(request, context)

    server.answers[PREDICT] = note
    with Client(server.address, model="vgg_16", version_label="stable") as client:
        assert client.segment(chart(600, 2500), tile=1024).model_version == 3
    assert asked == [("stable", 0), ("", 3), ("", 3), ("", 3)]


def test_tiles_of_two_versions_are_never_mixed(scripted: Start) -> None:
    server = scripted()
    versions = iter([1, 1, 2, 2, 2])
    server.answers[PREDICT] = lambda request, context: network_with_reach(600, 2500, version=next(versions))(
        request, context
    )
    with (
        Client(server.address, model="vgg_16") as client,
        pytest.raises(ServerError, match=r"version 2 .* version 1"),
    ):
        client.segment(chart(600, 2500), tile=1024, tiles_at_once=1)


def segment_all(address: str, images: list[np.ndarray]) -> None:
    with Client(address, model="vgg_16") as client:
        client.segment(images, tile=640)


def segment_all_async(address: str, images: list[np.ndarray]) -> None:
    async def segment() -> None:
        async with AsyncClient(address, model="vgg_16") as client:
            await client.segment(images, tile=640)

    asyncio.run(segment())


@pytest.mark.parametrize("segment", [segment_all, segment_all_async])
def test_a_tile_that_fails_ends_the_others_and_names_the_image(
    scripted: Start, segment: Callable[..., None]
) -> None:
    server = scripted()
    network = network_with_reach(600, 8000)

    def fail_later(request: bytes, context: grpc.ServicerContext) -> bytes:
        if len(server.calls) >= 3:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "enough")
        return network(request, context)

    server.answers[PREDICT] = fail_later
    with pytest.raises(InvalidInput, match=r"images\[0\].*enough"):
        segment(server.address, [chart(600, 8000)])
    assert len(server.calls) <= 6


def test_an_image_that_is_no_larger_than_a_tile_is_sent_as_it_is(engine: str, demo_scene: Path) -> None:
    file, told = io.BytesIO(), list[Any]()
    Image.open(demo_scene).crop((0, 100, 160, 200)).save(file, "PNG")
    small = file.getvalue()
    with Client(engine, model="vgg_16") as client:
        whole = client.segment(small)
        same = client.segment(small, tile=512, progress=lambda *counts: told.append(counts))
    np.testing.assert_array_equal(same.label_map, whole.label_map)
    assert told == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tile": 480, "overlap": 480}, "at least 512"),
        ({"tile": -1, "overlap": 480}, "at least 512"),
        ({"tile": 100, "overlap": 96}, "at least 128"),
        ({"tile": 1024, "overlap": -1}, "overlap"),
        ({"tile": 1024, "overlap": 480, "tiles_at_once": -1}, "at least one"),
    ],
)
def test_tiles_that_cannot_be_are_refused(options: dict[str, int], message: str) -> None:
    with (
        Client("localhost:1", model="vgg_16") as client,
        pytest.raises(InvalidInput, match=message),
    ):
        client.segment(np.zeros((2000, 2000, 3), np.uint8), **options)


def test_an_image_that_the_model_refuses_for_its_size_suggests_tiles(engine: str, tmp_path: Path) -> None:
    with Client(engine, model="vgg_16") as client:
        with pytest.raises(InvalidInput, match=r"4194304 pixels.*tile=1024.*--tile 1024"):
            client.segment(np.zeros((2048, 2049, 3), np.uint8))
        with pytest.raises(InvalidInput) as other:
            client.classify(np.zeros((2048, 2049, 3), np.uint8))
    assert "tile" not in str(other.value)


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


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "LA", "1", "I;16", "CMYK"])
def test_windows_of_an_encoded_image_hold_the_pixels_of_the_whole(
    mode: str, scene_pixels: np.ndarray
) -> None:
    if mode == "I;16":
        picture = Image.fromarray(scene_pixels[..., 0].astype(np.uint16) * 257)
    else:
        picture = Image.fromarray(scene_pixels).convert(mode)
    file = io.BytesIO()
    picture.save(file, "JPEG" if mode == "CMYK" else "PNG")
    image = prepare("x", file.getvalue())
    assert image.encoded is not None
    assert image.size() == (48, 64)
    np.testing.assert_array_equal(
        image.window_reader()(slice(8, 40), slice(16, 64)), image.to_pixels()[8:40, 16:64]
    )


def test_a_file_past_pillows_own_limit_is_read(tmp_path: Path) -> None:
    height, width = 9_000, 20_000
    assert height * width > 2 * (Image.MAX_IMAGE_PIXELS or 0)
    picture = Image.new("1", (width, height))
    picture.putpixel((width - 1, height - 1), 1)
    picture.save(tmp_path / "wide.png")
    image = prepare("x", tmp_path / "wide.png")
    assert image.size() == (height, width)
    corner = image.window_reader()(slice(height - 2, height), slice(width - 2, width))
    assert corner[..., 0].tolist() == [[0, 0], [0, 255]]


def test_a_file_past_the_clients_limit_is_refused_by_its_header() -> None:
    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    with (
        Client("localhost:1", model="vgg_16") as client,
        pytest.raises(InvalidInput, match=r"40000x40000 .* 268435456 at most.*array"),
    ):
        client.segment(data + b"\0\0\0\0IDAT", tile=1024)


def test_a_refusal_is_told_even_where_the_advice_cannot_be_asked_for(scripted: Start) -> None:
    server = scripted()

    def refuse(request: bytes, context: grpc.ServicerContext) -> bytes:
        if predict_pb2.PredictRequest.FromString(request).model_spec.signature_name == "logits":
            context.abort(grpc.StatusCode.INTERNAL, "out of luck")
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the model takes at most 4194304 pixels")

    server.answers[PREDICT] = refuse
    with (
        Client(server.address, model="vgg_16") as client,
        pytest.raises(InvalidInput, match=r"the image: .* at most 4194304 pixels$"),
    ):
        client.segment(np.zeros((4, 4, 3), np.uint8))


def test_a_memory_mapped_array_is_read_tile_by_tile(scripted: Start, tmp_path: Path) -> None:
    server = scripted()
    server.answers[PREDICT] = network_with_reach(600, 2500)
    np.save(tmp_path / "chart.npy", chart(600, 2500))
    with Client(server.address, model="vgg_16") as client:
        tiled = client.segment(np.load(tmp_path / "chart.npy", mmap_mode="r"), tile=1024)
    np.testing.assert_array_equal(tiled.label_map, labels_of(600, 2500))


def test_the_command_line_cuts_and_shows_how_far_it_is(scripted: Start, tmp_path: Path) -> None:
    server, network = scripted(), network_with_reach(600, 2500)

    def slow(request: bytes, context: grpc.ServicerContext) -> bytes:
        time.sleep(0.2)
        return network(request, context)

    server.answers[PREDICT] = slow
    Image.fromarray(chart(600, 2500)).save(tmp_path / "wide.png")
    command = [sys.executable, "-m", "client", "segment", "wide.png", "-o", "out", "--tile", "1024"]
    terminal, its_end = os.openpty()
    process = subprocess.Popen(
        [*command, "--label-map", "--concurrency", "1", "--server", server.address],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "100"},
        stdout=subprocess.DEVNULL,
        stderr=its_end,
    )
    os.close(its_end)
    shown = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while part := os.read(terminal, 1 << 16):
            shown += part
    os.close(terminal)
    assert process.wait(20) == 0, shown
    assert re.search(rb"wide\.png.*[123]/4", shown)
    np.testing.assert_array_equal(
        np.asarray(Image.open(tmp_path / "out" / "wide.png.labels.png")), labels_of(600, 2500)
    )


def test_ctrl_c_does_not_wait_for_the_tiles_in_flight(scripted: Start, tmp_path: Path) -> None:
    server, network, begun = scripted(), network_with_reach(600, 2500), threading.Event()

    def stall(request: bytes, context: grpc.ServicerContext) -> bytes:
        if len(server.calls) == 1:
            return network(request, context)
        begun.set()
        while context.is_active():
            time.sleep(0.01)
        return b""

    server.answers[PREDICT] = stall
    Image.fromarray(chart(600, 2500)).save(tmp_path / "wide.png")
    command = [sys.executable, "-m", "client", "segment", str(tmp_path), "-o", str(tmp_path / "out")]
    process = subprocess.Popen(
        [*command, "--tile", "1024", "--server", server.address], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    assert begun.wait(20)
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (130, "stopped\n")


def test_a_tile_that_no_image_could_be_cut_by_is_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.png", "b.png"):
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    command = ["segment", str(tmp_path), "-o", str(tmp_path / "out"), "--tile", "100", "--overlap", "480"]
    assert main(command) == 1
    assert "at least 512" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


MEMORY = """
import sys
from client import Client
from tests.memory import peak

with Client(sys.argv[1], model="vgg_16") as client:
    scene = client.segment(sys.argv[2], tile=2048)
segmented = peak()
scene.overlay()
print(segmented, peak())
scene.label_image().save(sys.argv[2] + ".labels.png", compress_level=1)
"""


def test_24_million_pixels_fit_in_2_gigabytes(scripted: Start, tmp_path: Path) -> None:
    server = scripted()
    server.answers[PREDICT] = network_with_reach(4000, 6000)
    Image.fromarray(chart(4000, 6000)).save(tmp_path / "large.png", compress_level=1)
    command = [sys.executable, "-c", MEMORY, server.address, str(tmp_path / "large.png")]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    segmented, drawn = map(int, run.stdout.split())
    print(f"peak: {segmented / 1e6:.0f} MB segmented, {drawn / 1e6:.0f} MB with its overlay")
    assert segmented <= drawn < 2e9
    np.testing.assert_array_equal(
        np.asarray(Image.open(tmp_path / "large.png.labels.png")), labels_of(4000, 6000)
    )
