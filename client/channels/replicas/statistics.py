"""What a client has counted: for dashboards, and to see what it does with its replicas."""

from __future__ import annotations

from typing import NamedTuple

from .service import Replicas


class ReplicaStatistics(NamedTuple):
    """One replica, as the client sees it.

    Attributes:
        address: where it is.
        state: how it is, in words: "up", "down", "silent", "drained: ...", "not asked yet".
        version: the version of the model in its last answer that told one; None before.
        in_flight: requests that are under way to it now.
        calls: requests that were sent to it.
        failures: those of them that ended with an error.
        latency: seconds within which a half, 95 % and 99 % of its last 1000 answers came; None before any.
    """

    address: str
    state: str
    version: int | None
    in_flight: int
    calls: int
    failures: int
    latency: tuple[float, float, float] | None


class Statistics(NamedTuple):
    """What a client has counted since it was made.

    Attributes:
        calls: calls that were begun; an image, a batch or a tile is one.
        repeated: requests that were sent again, those that gRPC itself sent again included as far as it shows.
        failed: calls that ended with an error.
        replicas: the replicas there are now, by address.
    """

    calls: int
    repeated: int
    failed: int
    replicas: tuple[ReplicaStatistics, ...]


def count(replicas: Replicas) -> Statistics:
    """Read what a set of replicas knows."""
    return Statistics(
        replicas.calls,
        replicas.repeated,
        replicas.failed,
        tuple(
            ReplicaStatistics(
                str(member),
                member.state.value,
                member.version,
                member.in_flight,
                member.calls,
                member.failures,
                quantiles(list(member.latencies)) if member.latencies else None,
            )
            for member in sorted(replicas.members, key=str)
        ),
    )


def quantiles(seconds: list[float]) -> tuple[float, float, float]:
    """Give the 50th, 95th and 99th percentile of one number or more, by nearest rank."""
    seconds.sort()
    half, most, nearly_all = (seconds[-(-percent * len(seconds) // 100) - 1] for percent in (50, 95, 99))
    return half, most, nearly_all
