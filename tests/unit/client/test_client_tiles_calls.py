"""The calls that tiles are sent in: how many at once, to which version, and what happens when one fails."""

from __future__ import annotations

import asyncio
import io
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from PIL import Image
from slimserve import AsyncClient, Client, InvalidInput, ServerError
from slimserve.wire.protocol import PredictRequest

from tests.unit.client.conftest import PREDICT, ScriptedServer
from tests.unit.client.tiled_network import chart, labels_of, network_with_reach

Start = Callable[..., ScriptedServer]


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
        spec = PredictRequest.FromString(request).model_spec
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
        ({"tile": -1, "overlap": 480}, "at least 1"),
        ({"tile": 100, "overlap": 96}, "at least 128"),
        ({"tile": 1024, "overlap": -1}, "overlap"),
        ({"tile": 1024, "overlap": 480, "tiles_at_once": -1}, "at least 1"),
        ({"tile": 1024, "overlap": 480, "tiles_at_once": 0}, "at least 1"),
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
            client.analyze(np.zeros((2048, 2049, 3), np.uint8))
    assert "tile" not in str(other.value)


def test_a_refusal_is_told_even_where_the_advice_cannot_be_asked_for(scripted: Start) -> None:
    server = scripted()

    def refuse(request: bytes, context: grpc.ServicerContext) -> bytes:
        if PredictRequest.FromString(request).model_spec.signature_name == "logits":
            context.abort(grpc.StatusCode.INTERNAL, "out of luck")
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the model takes at most 4194304 pixels")

    server.answers[PREDICT] = refuse
    with (
        Client(server.address, model="vgg_16") as client,
        pytest.raises(InvalidInput, match=r"the image: .* at most 4194304 pixels$"),
    ):
        client.segment(np.zeros((4, 4, 3), np.uint8))
