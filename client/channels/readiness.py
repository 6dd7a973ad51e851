"""Waiting until replicas have the model."""

from __future__ import annotations

import time

import grpc

from ..errors import ModelNotFound, Overloaded, ServingError, Unavailable
from ..limits import check_whole
from ..wire import described, messages
from ..wire.messages import Servable
from .calls import Caller
from .failures import Failure, error_of, failure_of
from .replicas.replica import Replica
from .steps import Attempt, Flow, Pause, Together

_Code = grpc.StatusCode
_PROBE = 5.0  # seconds that a server has to say whether a model is ready
_SHORTEST_PROBE = 1.0  # enough to learn why a connection fails
# What may end by itself: a server that starts, loads, or is full.
_PASSING = (_Code.UNAVAILABLE, _Code.DEADLINE_EXCEEDED, _Code.NOT_FOUND, _Code.RESOURCE_EXHAUSTED)


def wait_until_ready(caller: Caller, timeout: float, replicas: int | None) -> Flow[None]:
    """Ask each replica for the servable until all have it, or as many as asked.

    Health is not enough: a real server says SERVING without a model, too. Raises Unavailable, Overloaded or
    ModelNotFound, saying what is missing.
    """
    if replicas is not None:
        check_whole("replicas=", replicas, 1)
    waiting = _Waiting(caller, timeout)
    pauses = caller.replicas.retry.pauses()
    while True:
        caller.replicas.follow(timeout)
        members = caller.replicas.members
        pending = [member for member in members if member not in waiting.ready]
        probes = [waiting.ask(member) for member in pending]
        if len(probes) == 1:
            yield from probes[0]
        elif probes:
            yield Together(probes, len(probes), lambda: None)
        ready = sum(member in waiting.ready for member in members)
        if ready >= (len(members) if replicas is None else replicas):
            return
        left = waiting.until - time.monotonic()
        if left <= 0:
            break
        yield Pause(min(next(pauses), left))
    missing = [member for member in members if member not in waiting.ready]
    raise (yield from waiting.error(missing, len(members), ready))


class _Waiting:
    """What has been learnt of each replica."""

    def __init__(self, caller: Caller, timeout: float) -> None:
        self._caller = caller
        self._timeout = timeout
        self.until = time.monotonic() + timeout
        self.ready: set[Replica] = set()
        self._failures: dict[Replica, Failure] = {}

    def ask(self, replica: Replica) -> Flow[None]:
        """Ask a replica once. Raises the error of a failure that does not pass."""
        caller = self._caller
        request = described.metadata_request(caller.servable)
        seconds = max(min(self.until - time.monotonic(), _PROBE), _SHORTEST_PROBE)
        try:
            yield Attempt(replica, described.GET_MODEL_METADATA, request, seconds, caller.metadata())
        except grpc.RpcError as refusal:
            failure = failure_of(refusal)
        else:
            self.ready.add(replica)
            caller.replicas.was_connected = True
            return
        first = replica not in self._failures
        if failure.code is _Code.UNAVAILABLE and first and not caller.replicas.was_connected:
            failure = caller.connection.explain(failure)
        if first or failure.code is not _Code.DEADLINE_EXCEEDED:
            self._failures[replica] = failure
        error = self._error(replica, failure)
        passing = failure.code in _PASSING or isinstance(error, ModelNotFound)
        if not passing or (failure.is_lasting and not caller.replicas.was_connected):
            raise error

    def _error(self, replica: Replica, failure: Failure) -> ServingError:
        return error_of(failure, self._caller.servable, "", self._name(replica))

    def _name(self, replica: Replica) -> str:
        alone = len(self._caller.replicas.members) == 1
        return f"{self._caller.connection if alone else replica}{self._caller.connection.note()}"

    def error(self, missing: list[Replica], members: int, ready: int) -> Flow[ServingError]:
        """Say what is missing: of several replicas, how many are, and what the first of these said."""
        if not missing:
            return Unavailable(f"not ready after {self._timeout:g} s: there are {members} replicas")
        replica = missing[0]
        reason = self._error(replica, self._failures[replica])
        states = (yield from self._states(replica)) if isinstance(reason, ModelNotFound) else ""
        kind = type(reason) if isinstance(reason, (ModelNotFound, Overloaded)) else Unavailable
        count = f" ({ready} of {members} replicas are)" if members > 1 else ""
        return kind(f"not ready after {self._timeout:g} s{count}: {reason}{states}", details=reason.details)

    def _states(self, replica: Replica) -> Flow[str]:
        """Describe the states of the model's versions, for an error message."""
        every_version = described.status_request(Servable(self._caller.servable.model))
        try:
            answer = yield Attempt(
                replica, messages.GET_MODEL_STATUS, every_version, _PROBE, self._caller.metadata()
            )
        except grpc.RpcError:
            return ""
        states = ", ".join(map(str, described.status_response(answer)))
        return f"; of its versions, {states}" if states else ""
