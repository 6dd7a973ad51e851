"""Large files cut into tiles: read in windows, by the library and by the command."""

from __future__ import annotations

import contextlib
import io
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

import grpc
import numpy as np
import pytest
from PIL import Image
from slimserve import Client, InvalidInput
from slimserve.cli.main import main
from slimserve.images.given import prepare

from tests.unit.client.conftest import PREDICT, ScriptedServer
from tests.unit.client.tiled_network import chart, labels_of, network_with_reach

Start = Callable[..., ScriptedServer]
ROOT = Path(__file__).parents[3]


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
    command = ["segment", str(tmp_path), "-o", str(tmp_path / "out"), "--overlap", "480"]
    for options, words in ((["--tile", "100"], "at least 512"), ([], "give --tile too")):
        assert main([*command, *options]) == 1
        assert words in capsys.readouterr().err
        assert not (tmp_path / "out").exists()


MEMORY = """
import sys
from slimserve import Client
from tests.support.memory import peak

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
