"""Which addresses stand behind the names that a client was given, as they come and go.

gRPC resolves a name again when a connection breaks, so it never sees a replica that was added. Hence names are looked
up here, every few seconds while calls are made, in a thread that ends with the look-up.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from ..addresses import host_and_port, is_name, look_up, shown, split
from .replica import Endpoint

_INTERVAL = 5.0  # seconds between look-ups
_FIRST = 3.0  # seconds that the first one may take before gRPC tries by itself

log = logging.getLogger("slimserve")


class Name:
    """A name and the endpoints found behind it."""

    def __init__(self, target: str, host: str, port: str) -> None:
        self.target, self._host, self._port = target, host, port
        self.endpoints: tuple[Endpoint, ...] = ()

    def look_up(self) -> None:
        """Look the addresses up, which may take long; the old ones stay where that fails."""
        found = look_up(self._host, self._port)
        families = [
            [each for each in found if each[:5] == kind] for kind in dict.fromkeys(each[:5] for each in found)
        ]
        most = max(families, key=len, default=[])
        if len(most) > 1:
            name = f"{self._host}:{self._port}"
            self.endpoints = tuple(Endpoint(target, name) for target in most)
        elif most:  # one server, perhaps of both families: gRPC finds out which of them it answers
            self.endpoints = (Endpoint(self.target),)


class Following:
    """The endpoints behind some gRPC names. Threads may share it."""

    def __init__(self, targets: Sequence[str], follows: Callable[[str], bool]) -> None:
        self._parts: list[Endpoint | Name] = []
        for target in targets:
            found = host_and_port(target)
            if found and is_name(found[0]) and follows(found[0]):
                self._parts.append(Name(target, *found))
            else:
                self._parts += map(Endpoint, split(target))
        self.names = [part for part in self._parts if isinstance(part, Name)]
        self._looked_up = float("-inf")
        self._found = threading.Event()
        self._lock = threading.Lock()

    def after_fork(self) -> None:
        """In a forked process: no look-up is under way."""
        self._lock, self._found = threading.Lock(), threading.Event()
        self._looked_up = float("-inf")

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Give the endpoints; names that have not been found are left to gRPC, whose error says why."""
        found: list[Endpoint] = []
        for part in self._parts:
            if isinstance(part, Endpoint):
                found.append(part)
            else:
                found += part.endpoints or (Endpoint(part.target),)
        return tuple(dict.fromkeys(found))

    def refresh(self, remaining: float) -> None:
        """Have names looked up again where it is time; the first time, wait for that, `remaining` seconds at most."""
        with self._lock:
            due = time.monotonic() - self._looked_up >= _INTERVAL
            if due:
                self._looked_up = time.monotonic()
        if due:
            looking = threading.Thread(target=_look_up, args=(self.names, self._found), daemon=True)
            looking.start()
        if not self._found.is_set():
            self._found.wait(min(remaining, _FIRST))


def _look_up(names: Sequence[Name], found: threading.Event) -> None:
    for name in names:
        before = name.endpoints
        name.look_up()
        if before and set(before) != set(name.endpoints):
            log.info("%s: %d addresses, before %d", shown(name.target), len(name.endpoints), len(before))
    found.set()
