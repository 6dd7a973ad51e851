"""What is asked again, how often, and how much of that the servers bear."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import grpc

from ..errors import InvalidInput
from ..limits import brief, check_whole, is_number

_Code = grpc.StatusCode
_PASSED_ON = frozenset({_Code.UNAVAILABLE, _Code.RESOURCE_EXHAUSTED, _Code.NOT_FOUND})
_MINUTE = 60.0
_LONGEST_PAUSE = 10  # times the first


@dataclass(frozen=True)
class Retry:
    """When a request that failed is sent again: at once to another replica, after a pause to one it was sent to.

    Nothing is sent again once its answer began, or once the deadline has passed. A call that a living server cuts off
    after a second or more, because it is longer than the server lets connections live, is computed twice at most; by a
    replica that is alone three times.

    Args:
        attempts: how often a call is sent at most; each replica may be asked once all the same.
        backoff: seconds of the pause after every replica was asked; it doubles each time, up to ten times that, and
            is shortened at random by up to a half.
        budget: how many requests may be sent again for each call, on the average of a minute or two: with 1.0 the
            servers bear at most double the load, whatever happens. Ten are always allowed.
        on: the gRPC statuses that are tried again. NOT_FOUND goes to each replica once, because one of them may have
            the version that the others lack.

    Raises:
        InvalidInput: a number that cannot be.
    """

    attempts: int = 5
    backoff: float = 0.1
    budget: float = 1.0
    on: Collection[grpc.StatusCode] = _PASSED_ON

    def __post_init__(self) -> None:
        attempts = check_whole("Retry(attempts=)", self.attempts, 1)
        if not (is_number(self.backoff) and 0 < self.backoff <= 3600):
            raise InvalidInput(f"Retry(backoff=): seconds above 0, 3600 at most, not {brief(self.backoff)}")
        if not (is_number(self.budget) and 0 <= self.budget <= 100):
            raise InvalidInput(f"Retry(budget=): a number from 0 to 100, not {brief(self.budget)}")
        if not isinstance(self.on, Collection) or not all(isinstance(code, _Code) for code in self.on):
            raise InvalidInput(
                "Retry(on=) holds gRPC statuses, such as grpc.StatusCode.UNAVAILABLE, in a set or list"
            )
        # Python's own numbers: gRPC's service config is JSON, which takes no others.
        vars(self).update(attempts=attempts, backoff=float(self.backoff), budget=float(self.budget))

    def pauses(self) -> Iterator[float]:
        """Give the seconds of one pause after the other, without end."""
        pause = self.backoff
        while True:
            yield pause * random.uniform(0.5, 1.0)
            pause = min(2 * pause, _LONGEST_PAUSE * self.backoff)


class Budget:
    """Counts calls and repetitions of the last minute or two. Threads may share it."""

    _ALWAYS = 10

    def __init__(self, ratio: float) -> None:
        self._ratio = ratio
        self._lock = threading.Lock()
        self._since = time.monotonic()
        self._calls = self._repeated = self._calls_before = self._repeated_before = 0

    def count_call(self) -> None:
        """Note a call that is about to be sent for the first time."""
        with self._lock:
            now = time.monotonic()
            if (age := now - self._since) >= _MINUTE:
                is_last = age < 2 * _MINUTE  # else there was none for a minute
                self._calls_before, self._repeated_before = self._calls * is_last, self._repeated * is_last
                self._calls = self._repeated = 0
                self._since = now
            self._calls += 1

    def take(self) -> bool:
        """Tell whether something may be sent again, and count it."""
        with self._lock:
            repeated = self._repeated + self._repeated_before
            if self._ratio == 0 or repeated >= max(
                self._ratio * (self._calls + self._calls_before), self._ALWAYS
            ):
                return False
            self._repeated += 1
            return True

    def count_repeated(self) -> None:
        """Note what gRPC itself has sent again."""
        with self._lock:
            self._repeated += 1
