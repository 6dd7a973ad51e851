"""One call to the server: attempts and pauses until it is answered, refused for good, or out of time.

Written as a generator that yields what has to be waited for, so that the sync and the async client drive the same
code and differ only in how they wait.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import NamedTuple, TypeAlias, TypeVar

import grpc

from ..errors import DeadlineExceeded, ModelNotFound, ServingError, Unavailable
from ..wire import messages
from ..wire.messages import Servable
from .connection import Connection
from .failures import Failure, error_of, failure_of

T = TypeVar("T")

_PROBE = 5.0  # seconds that a server has to say whether a model is ready
_SHORTEST_PROBE = 1.0  # enough to learn why a connection fails
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 1.0


class Attempt(NamedTuple):
    """Send `request` to the gRPC `method` and wait at most `timeout` seconds; the outcome is the answer's bytes."""

    method: str
    request: bytes
    timeout: float


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


Step: TypeAlias = Attempt | Pause | Together
Flow: TypeAlias = Generator[Step, bytes, T]


class Caller:
    """Calls one servable behind one connection, with retries."""

    def __init__(self, connection: Connection, servable: Servable, connect_timeout: float) -> None:
        self.servable = servable
        self._connection = connection
        self._connect_timeout = connect_timeout
        self._was_connected = False

    def call(self, method: str, request: bytes, deadline: float, signature: str = "") -> Flow[bytes]:
        """Send `request` until it is answered; `deadline` is a time of `time.monotonic()`.

        What a connection failed to carry is sent again until the deadline, or, while no server has ever answered,
        for the connect timeout. Raises the ServingError that fits.
        """
        begun = time.monotonic()
        failure: Failure | None = None

        def out_of_time() -> ServingError:
            if failure is None:
                where = self._connection
                return DeadlineExceeded(f"no answer from {where}: the deadline had passed before the call")
            return self._error(failure, signature, waited=time.monotonic() - begun)

        for pauses, pause in enumerate(_pauses()):
            for _ in self._connection.targets:  # another server, at once
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise out_of_time()
                try:
                    answer = yield Attempt(method, request, remaining)
                except grpc.RpcError as error:
                    latest = failure_of(error)
                else:
                    self._was_connected = True
                    return answer
                if latest.code is grpc.StatusCode.DEADLINE_EXCEEDED and failure:
                    raise out_of_time()
                failure = latest
                if not failure.never_sent:
                    self._was_connected |= failure.code is not grpc.StatusCode.DEADLINE_EXCEEDED
                    raise self._error(failure, signature)
            assert failure is not None
            limit = deadline if self._was_connected else min(deadline, begun + self._connect_timeout)
            is_over = time.monotonic() + pause >= limit
            if is_over or not pauses:
                failure = self._explain(failure)
            if is_over or failure.is_lasting:
                break
            yield Pause(pause)
        raise out_of_time()

    def wait_until_ready(self, timeout: float) -> Flow[None]:
        """Ask for the servable until it is there. Raises Unavailable or ModelNotFound, saying what is missing."""
        begun = time.monotonic()
        request = messages.metadata_request(self.servable)
        reason: ServingError | None = None
        for pause in _pauses():
            remaining = begun + timeout - time.monotonic()
            try:
                yield Attempt(
                    messages.GET_MODEL_METADATA, request, max(min(remaining, _PROBE), _SHORTEST_PROBE)
                )
            except grpc.RpcError as error:
                failure = failure_of(error) if reason else self._explain(failure_of(error))
            else:
                self._was_connected = True
                return
            if reason is None or failure.code is not grpc.StatusCode.DEADLINE_EXCEEDED:
                reason = self._error(failure, "")
            if failure.is_lasting or not isinstance(reason, (Unavailable, DeadlineExceeded, ModelNotFound)):
                raise reason
            left = begun + timeout - time.monotonic()
            if left <= 0:
                break
            yield Pause(min(pause, left))
        states = (yield from self._states()) if isinstance(reason, ModelNotFound) else ""
        kind = ModelNotFound if isinstance(reason, ModelNotFound) else Unavailable
        assert reason is not None
        raise kind(f"not ready after {timeout:g} s: {reason}{states}", details=reason.details)

    def _states(self) -> Flow[str]:
        """Describe the states of the model's versions, for an error message."""
        every_version = messages.status_request(Servable(self.servable.model))
        try:
            answer = yield Attempt(messages.GET_MODEL_STATUS, every_version, _PROBE)
        except grpc.RpcError:
            return ""
        states = ", ".join(map(str, messages.status_response(answer)))
        return f"; of its versions, {states}" if states else ""

    def _explain(self, failure: Failure) -> Failure:
        """Look closer at why no connection comes about: gRPC reports one of a name's addresses, the one it tried last.

        That may be ::1 of localhost, where nothing listens, when the server at 127.0.0.1 wants TLS.
        """
        if self._was_connected or not failure.never_sent or not failure.was_refused:
            return failure
        found = map(failure_of, self._connection.probe())
        return next((other for other in found if other.never_sent and not other.was_refused), failure)

    def _error(self, failure: Failure, signature: str, waited: float = 0.0) -> ServingError:
        where = str(self._connection) + (f" within {waited:.1f} s" if waited >= 0.1 else "")
        return error_of(failure, self.servable, signature, where)


def _pauses() -> Iterator[float]:
    """Give the seconds to wait after each round of attempts: exponential backoff with jitter, without end."""
    pause = _FIRST_PAUSE
    while True:
        yield pause * random.uniform(0.5, 1.0)
        pause = min(2 * pause, _LONGEST_PAUSE)
