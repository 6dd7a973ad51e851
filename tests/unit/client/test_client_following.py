"""Names whose addresses come and go."""

from __future__ import annotations

import errno
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import numpy as np
import pytest
from slimserve import Client, ServingError
from slimserve.channels.replicas.following import Name
from slimserve.channels.replicas.replica import Endpoint
from slimserve.testing import Delay, Link, Model, Server

PIXELS = np.full((8, 8, 3), 200, np.uint8)


def test_addresses_that_come_and_go_behind_a_name_are_followed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stack = ExitStack()
    first, second, third = (stack.enter_context(Server({"m": {1: Model(["a"])}})) for _ in range(3))
    behind = [first, second]

    def look_up(name: Name) -> None:
        name.endpoints = tuple(Endpoint(f"ipv4:{server.address}", "vgg.test:8500") for server in behind)

    monkeypatch.setattr(Name, "look_up", look_up)
    monkeypatch.setattr("slimserve.channels.replicas.following._INTERVAL", 0.05)
    with stack, Client("vgg.test", model="m") as client:
        while not (first.calls and second.calls):  # each is asked how it is first
            client.classify(PIXELS)
        assert not third.calls
        behind[:] = [second, third]  # and no connection breaks
        while not third.calls:
            client.classify(PIXELS)
        before = len(first.calls)
        for _ in range(10):
            client.classify(PIXELS)
        assert len(first.calls) == before


def test_a_call_in_hand_at_an_address_that_falls_silent_and_goes_is_answered_by_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As of a machine that lost its power: nobody says that its connections are over."""
    with (
        Server({"m": {1: Model(["a"])}}) as lost,
        Server({"m": {1: Model(["b"])}}) as other,
        Link(lost.port) as link,
        ThreadPoolExecutor(1) as pool,
    ):
        behind = [link.address]

        def look_up(name: Name) -> None:
            name.endpoints = tuple(Endpoint(f"ipv4:{address}", "vgg.test:8500") for address in behind)

        monkeypatch.setattr(Name, "look_up", look_up)
        monkeypatch.setattr("slimserve.channels.replicas.following._INTERVAL", 0.01)
        lost.fail(Delay(3600))
        with Client("vgg.test", model="m", timeout=60) as client:
            answer = pool.submit(client.classify, PIXELS)
            while not lost.calls:
                time.sleep(0.01)
            link.black_hole()
            behind[:] = [other.address]
            while not other.calls:
                with suppress(ServingError):  # until the address is seen to have gone
                    client.classify(PIXELS, timeout=0.2)
            begun = time.monotonic()
            assert answer.result().top.name == "b"
            assert time.monotonic() - begun < 30


def stand_behind_a_name(monkeypatch: pytest.MonkeyPatch, found: list[str], without_route: str) -> None:
    """Let each name have these addresses; those that begin so have no route."""

    class Socket(socket.socket):
        def connect(self, address: tuple[str, int]) -> None:
            if without_route and address[0].startswith(without_route):
                raise OSError(errno.ENETUNREACH, "Network is unreachable")

    kinds = {True: socket.AF_INET6, False: socket.AF_INET}
    entries = [(kinds[":" in address], socket.SOCK_STREAM, 6, "", (address, 8500)) for address in found]
    monkeypatch.setattr("socket.getaddrinfo", lambda *arguments, **options: entries)
    monkeypatch.setattr("socket.socket", Socket)


@pytest.mark.parametrize(
    ("found", "targets"),
    [
        (["10.0.0.1", "10.0.0.2"], ["ipv4:10.0.0.1:8500", "ipv4:10.0.0.2:8500"]),
        (["fd00::1", "fd00::2", "10.0.0.1"], ["ipv6:[fd00::1]:8500", "ipv6:[fd00::2]:8500"]),
        (["fd00::1", "10.0.0.1"], ["dns:///vgg.test:8500"]),  # one machine, of both families
        ([], []),  # gRPC says why
    ],
)
def test_each_address_behind_a_name_is_a_replica(
    found: list[str], targets: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_behind_a_name(monkeypatch, found, without_route="")
    name = Name("dns:///vgg.test:8500", "vgg.test", "8500")
    name.look_up()
    assert [endpoint.target for endpoint in name.endpoints] == targets


@pytest.mark.parametrize(
    ("found", "targets"),
    [
        (
            ["fd00::1", "fd00::2", "fd00::3", "10.0.0.1", "10.0.0.2"],
            ["ipv4:10.0.0.1:8500", "ipv4:10.0.0.2:8500"],
        ),
        (["fd00::1", "fd00::2", "10.0.0.1"], ["dns:///vgg.test:8500"]),
        (["fd00::1", "fd00::2"], ["ipv6:[fd00::1]:8500", "ipv6:[fd00::2]:8500"]),  # whose errors say why
    ],
)
def test_addresses_that_this_machine_has_no_route_to_are_no_replicas(
    found: list[str], targets: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_behind_a_name(monkeypatch, found, without_route="fd00:")
    name = Name("dns:///vgg.test:8500", "vgg.test", "8500")
    name.look_up()
    assert [endpoint.target for endpoint in name.endpoints] == targets
