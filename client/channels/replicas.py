"""Which replica is asked next: each in its turn, and those that are down only when all are."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import grpc
import grpc.aio

Channel = TypeVar("Channel")

_UP = (grpc.ChannelConnectivity.READY, grpc.ChannelConnectivity.IDLE)


class Replicas(Generic[Channel]):
    """The channels to the replicas. Threads may share it."""

    def __init__(self, channels: Sequence[Channel], is_up: Callable[[Channel], bool]) -> None:
        self.channels = channels
        self._is_up = is_up
        rotations = [[*channels[first:], *channels[:first]] for first in range(len(channels))]
        self._turns = itertools.cycle(rotations)

    def next(self) -> Channel:
        """Give the channel for the next call."""
        in_turn = next(self._turns)
        if len(in_turn) == 1:
            return in_turn[0]
        return next(filter(self._is_up, in_turn), in_turn[0])


def watch(channels: Sequence[grpc.Channel]) -> Replicas[grpc.Channel]:
    """Connect to several replicas at once, and learn from gRPC which are down."""
    down: set[grpc.Channel] = set()

    def subscribe(channel: grpc.Channel) -> None:
        def note(state: grpc.ChannelConnectivity) -> None:
            (down.discard if state in _UP else down.add)(channel)

        channel.subscribe(note, try_to_connect=True)

    if len(channels) > 1:
        for channel in channels:
            subscribe(channel)
    return Replicas(channels, lambda channel: channel not in down)


def ask_each_time(channels: Sequence[grpc.aio.Channel]) -> Replicas[grpc.aio.Channel]:
    """Look at the state of asyncio's channels when it is asked for; those that are idle connect."""
    return Replicas(channels, lambda channel: channel.get_state(try_to_connect=True) in _UP)
