"""What has to be waited for: flows yield these steps, and the drivers of both clients do them, each in its own way."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from typing import NamedTuple, TypeAlias, TypeVar

import grpc

from .replicas.replica import Replica

T = TypeVar("T")

HEALTH = "/grpc.health.v1.Health/Check"
NOT_SERVING = b"\x08\x02"  # HealthCheckResponse(status=NOT_SERVING)

Metadata: TypeAlias = "tuple[tuple[str, str | bytes], ...]"


class Attempt(NamedTuple):
    """Send `request` to the gRPC `method` of a replica, wait `timeout` seconds; the outcome is the answer's bytes."""

    replica: Replica
    method: str
    request: bytes
    timeout: float
    metadata: Metadata


class Ask(NamedTuple):
    """Ask replicas how they are, all at once, and note what they say; the outcome is empty.

    Wait `seconds` at most for all of them, or for the `first` that is up; those that have no connection have until
    then to make one where `patient`.
    """

    replicas: Sequence[Replica]
    seconds: float
    metadata: Metadata
    first: bool = False
    patient: bool = False


class Abandon(NamedTuple):
    """End the calls to a replica, and its connection; the outcome is empty."""

    replica: Replica


class Pause(NamedTuple):
    """Wait; the outcome is empty."""

    seconds: float


class Together(NamedTuple):
    """Drive `flows` to their ends, `at_once` at a time, and call `after_each` after each; the outcome is empty.

    The first error is the outcome: flows that have not begun never do.
    """

    flows: Iterable[Flow[None]]
    at_once: int
    after_each: Callable[[], None]


class Cancelled(grpc.RpcError):
    """A call that ended because its channel was closed, where gRPC says that in another way."""

    def __init__(self, details: str) -> None:
        super().__init__(details)
        self._details = details

    def code(self) -> grpc.StatusCode:
        """Give the status."""
        return grpc.StatusCode.CANCELLED

    def details(self) -> str:
        """Give the words."""
        return self._details


Step: TypeAlias = Attempt | Ask | Abandon | Pause | Together
Flow: TypeAlias = Generator[Step, bytes, T]
