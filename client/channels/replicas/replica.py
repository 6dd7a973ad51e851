"""One replica, and what is known of it: how it is, what it has, how busy it is, how long it takes."""

from __future__ import annotations

import collections
import enum
import time
from typing import NamedTuple, TypeAlias

import grpc

from ..addresses import shown
from ..failures import Failure

_Code = grpc.StatusCode
_LATENCIES = 1000  # of the last answers
_FULL, _FULL_LONGEST = 0.1, 1.0  # seconds that a replica which refused for want of room is asked last
NO_WORD = "nothing answers there"
_LACKS = 2.0  # seconds after which a replica that lacked a version is asked for it like the others

Wanted: TypeAlias = "tuple[int | None, str | None]"
"""A version by number or by label, or whatever is newest."""


class State(enum.Enum):
    """How a replica is, as far as it has been asked."""

    UNKNOWN = "not asked yet"
    UP = "up"
    DRAINED = "drained: its health is NOT_SERVING"
    DOWN = "down"
    SILENT = "silent"


class Endpoint(NamedTuple):
    """Where gRPC connects to.

    Attributes:
        target: the gRPC name.
        name: `host:port` of the name it was found under, to which the server's certificate is made out; or empty.
    """

    target: str
    name: str = ""

    def __str__(self) -> str:
        return shown(self.target)


class Replica:
    """What is known of one replica. Its set guards what several threads change."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.state = State.UNKNOWN
        self.failure: Failure | None = None  # of the last health question that went unanswered
        self.heard = float("-inf")  # when its health was last known, a time of `time.monotonic()`
        self.opened = float("-inf")  # when its connection was last made anew because it was down
        self.in_flight = 0
        self.version: int | None = None  # of its last answer that told one
        self.calls = self.failures = 0
        self.abandoned = 0  # how often its calls were ended because it was silent
        self.latencies: collections.deque[float] = collections.deque(maxlen=_LATENCIES)
        self._full_until = 0.0
        self._refusals = 0
        self._lacks: dict[Wanted, float] = {}
        self._has: set[Wanted] = set()

    def __str__(self) -> str:
        return str(self.endpoint)

    @property
    def is_out(self) -> bool:
        """Whether nothing is to be sent there before it has been asked how it is."""
        return self.state in (State.DRAINED, State.DOWN, State.SILENT)

    def rank(self, wanted: Wanted, now: float) -> int:
        """Say how good a choice it is for a version: 0 the best."""
        if self.is_out:
            return 5
        if now < self._full_until:
            return 4
        if self._lacks and now < self._lacks.get(wanted, 0.0):
            return 3
        if self.state is State.UNKNOWN:
            return 2
        # A number or a label is not everywhere: who had it before comes first.
        return 0 if wanted == (None, None) or wanted in self._has else 1

    def answered(self, wanted: Wanted, seconds: float) -> None:
        """Note an answer."""
        self.latencies.append(seconds)
        self.state = State.UP if self.state is State.UNKNOWN else self.state
        self._refusals = 0
        self._has.add(wanted)

    def refused_as_full(self, now: float) -> None:
        """Note that it has no room: ask it last for a while, longer each time in a row."""
        self._full_until = now + min(_FULL * 2.0 ** min(self._refusals, 10), _FULL_LONGEST)
        self._refusals += 1

    def lacked(self, wanted: Wanted, now: float) -> None:
        """Note that it does not serve a version."""
        self._has.discard(wanted)
        self._lacks = {known: until for known, until in self._lacks.items() if until > now}
        self._lacks[wanted] = now + _LACKS

    def health_is(self, code: grpc.StatusCode, details: str, serving: bool = True) -> None:
        """Note the answer to the question of health, or what became of it.

        A server without a health service, or that refuses this question, answers: it is there.
        """
        if code is _Code.CANCELLED:  # by this client
            return
        self.heard = time.monotonic()
        if code is _Code.DEADLINE_EXCEEDED and self.state is State.DOWN:  # still no connection
            return
        self.failure = None
        if code is _Code.OK:
            self.state = State.UP if serving else State.DRAINED
        elif code is _Code.UNAVAILABLE:
            self.state, self.failure = State.DOWN, Failure(code, details)
        elif code is _Code.DEADLINE_EXCEEDED:
            self.state, self.failure = State.SILENT, Failure(_Code.UNAVAILABLE, NO_WORD)
        else:
            self.state = State.UP
