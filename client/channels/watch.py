"""Replicas are asked how they are while calls are in hand, and calls that a silent one holds go to another.

A process that is stopped, or a path that swallows what is sent, breaks no connection: the kernel at the other end still
acknowledges. gRPC's means against that are keepalive pings, but a server with gRPC's defaults, as TensorFlow Serving,
hangs up on clients that ping during a call; and its health checking of channels sends no token, and takes a gateway
that refuses the question for a server that is ill. Hence the question is an ordinary call.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from .replicas.replica import State
from .replicas.service import FRESH, Replicas
from .steps import Abandon, Ask, Flow, Metadata, Pause

log = logging.getLogger("slimserve")


def log_end_of_watch(error: Exception) -> None:
    """Say why: the client was closed, mostly; or token= has failed, which the calls will tell."""
    log.info("the replicas are watched no more: %s", type(error).__name__)


def watch(replicas: Replicas, metadata: Callable[[], Metadata]) -> Flow[None]:
    """Watch while calls are made, and a second longer."""
    states: dict[object, State] = {}
    while replicas.is_in_use():
        interval = min(FRESH / 2, replicas.patience)
        begun = time.monotonic()
        members = replicas.watched
        yield Ask(members, replicas.patience, metadata())
        for member in members:
            before = states.get(member)
            if before not in (None, member.state) or (before is None and member.is_out):
                log.info("%s is %s", member, member.state.value)
            states[member] = member.state
            if member.state is State.SILENT and member.in_flight and replicas.has_another(member):
                member.abandoned += 1
                yield Abandon(member)
        yield Pause(max(interval - (time.monotonic() - begun), 0.01))
