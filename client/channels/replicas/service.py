"""The replicas of a service as one thing: which there are, and which is asked next.

gRPC's own balancing takes turns over addresses. It knows neither versions nor who is full nor how many calls a replica
has in hand, and it cannot be asked which replica answered; so each replica has a channel of its own, and the choice is
made here.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Collection, Iterable

from ..retry import Budget, Retry
from .following import Following
from .replica import Replica, State, Wanted

log = logging.getLogger("slimserve")

FRESH = 1.0  # seconds for which the answer to the question of health holds
_ANEW = 0.02  # seconds between two connections to a replica that is down
_IN_USE = 1.0  # seconds after the last call for which replicas are watched


class Replicas:
    """The replicas behind some addresses. Threads may share it."""

    def __init__(self, following: Following, retry: Retry) -> None:
        self.retry = retry
        self.budget = Budget(retry.budget)
        self.calls = self.repeated = self.failed = 0
        self.closed = False
        self.was_connected = False  # whether any server ever answered
        self.patience = 1.0  # seconds after which a replica that does not say how it is counts as silent
        self._following = following
        self._lock = threading.Lock()
        self._endpoints = following.endpoints()
        self._members = [Replica(endpoint) for endpoint in self._endpoints]
        self._gone: list[Replica] = []  # no members any more, but with calls in hand
        random.shuffle(self._members)  # so that many clients do not begin with the same one
        self._used = 0.0

    def after_fork(self) -> None:
        """In a forked process: nothing is under way, and no thread will ever give a lock back."""
        self._lock = threading.Lock()
        self.budget = Budget(self.retry.budget)
        self._following.after_fork()
        self._gone.clear()
        for member in self._members:
            member.in_flight = 0
            member.state, member.heard = State.UNKNOWN, float("-inf")

    def __len__(self) -> int:
        return len(self._members)

    @property
    def members(self) -> list[Replica]:
        """The replicas there are now, the one that was asked longest ago first."""
        with self._lock:
            return list(self._members)

    @property
    def watched(self) -> list[Replica]:
        """The replicas there are, and those behind no name any more that have calls in hand."""
        with self._lock:
            return [*self._members, *(member for member in self._gone if member.in_flight)]

    @property
    def are_several(self) -> bool:
        """Whether there is another for what one of those watched has in hand."""
        return len(self._members) > 1 or any(member.in_flight for member in self._gone)

    def begin(self, remaining: float) -> None:
        """Note that a call begins, which has so many seconds; see to it that the addresses are those of now."""
        self.budget.count_call()
        self.calls += 1
        self.follow(remaining)
        if self.are_several:
            self.patience = min(max(remaining / 4, 0.2), 5.0)
            self._used = time.monotonic()

    def follow(self, remaining: float) -> None:
        """Let the members be those behind the names now; the first look-up is waited for, so many seconds at most."""
        if not self._following.names:
            return
        self._following.refresh(remaining)
        endpoints = self._following.endpoints()
        if endpoints == self._endpoints:
            return
        with self._lock:
            known = {member.endpoint: member for member in self._members}
            new = [Replica(endpoint) for endpoint in endpoints if endpoint not in known]
            gone = [member for endpoint, member in known.items() if endpoint not in endpoints]
            self._gone = [member for member in (*self._gone, *gone) if member.in_flight]
            # New ones first: they have been asked longest ago. Those that are gone finish what they have in hand.
            self._members = new + [member for member in self._members if member.endpoint in endpoints]
            self._endpoints = endpoints
        log.info(
            "replicas: %s new, %s gone",
            ", ".join(map(str, new)) or "none",
            ", ".join(map(str, gone)) or "none",
        )

    def choose(self, wanted: Wanted, tried: Collection[Replica]) -> Replica | None:
        """Give the replica to ask next, counted as busy until `release`; None where each was tried.

        Of the best ones, two in turn are compared, and the one with fewer calls in hand is taken (the power of two
        choices: Mitzenmacher, 2001).
        """
        with self._lock:
            members = self._members
            if len(members) == 1 and not tried:
                chosen = members[0]
            else:
                now = time.monotonic()
                ranked = [(member.rank(wanted, now), member) for member in members if member not in tried]
                if not ranked:
                    return None
                best = min(rank for rank, _ in ranked)
                two = [member for rank, member in ranked if rank == best][:2]
                chosen = min(two, key=lambda member: member.in_flight)
                members.remove(chosen)
                members.append(chosen)
            chosen.in_flight += 1
            return chosen

    def release(self, replica: Replica) -> None:
        """Note that a call is over, in whichever way."""
        with self._lock:
            replica.in_flight -= 1

    def reopen(self, replicas: Iterable[Replica]) -> list[Replica]:
        """Give those of these whose connection may be made anew: out, without calls in hand, and not just made."""
        now = time.monotonic()
        with self._lock:
            stale = [
                replica
                for replica in replicas
                if replica.is_out and not replica.in_flight and now - replica.opened > _ANEW
            ]
            for replica in stale:
                replica.opened = now
        return stale

    def unheard(self) -> list[Replica]:
        """Give those to ask for their health before a call.

        Of several, all, where none has been heard of lately. One that is alone, until it answered for the first time:
        when a call fails, it is known then whether there was a connection.
        """
        if len(self._members) == 1:
            return [] if self.was_connected else self.members
        now = time.monotonic()
        members = self.members
        fresh = any(member.state is State.UP and now - member.heard < FRESH for member in members)
        return [] if fresh else members

    def is_in_use(self) -> bool:
        """Whether there is something to watch: several replicas, and calls in hand or lately."""
        if self.closed or not self.are_several:
            return False
        lately = time.monotonic() - self._used < _IN_USE
        return lately or any(member.in_flight for member in self.watched)

    def has_another(self, replica: Replica) -> bool:
        """Whether another replica is up."""
        return any(member.state is State.UP for member in self.members if member is not replica)
