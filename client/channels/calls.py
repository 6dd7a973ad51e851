"""One call to the service: which replica is asked, and which next, until it is answered or refused for good.

Written as a generator that yields what has to be waited for, so that the sync and the async client drive the same
code and differ only in how they wait.

What is asked again is decided by the status code, and where that cannot tell, by asking the replica how it is:
UNAVAILABLE may mean that no connection came about, that the server refused, or that the connection broke under the
call. gRPC alone knows whether an answer had begun, and does not tell Python. So its own retry (gRFC A6), which knows,
sends again to the same replica what broke before that. Of one replica that is all. Of several, what failed at one that
is up goes to another only if gRPC has sent it again, which shows in the time, and in less than a second.
"""

from __future__ import annotations

import logging
import time
from typing import NamedTuple

import grpc

from ..errors import DeadlineExceeded, MessageTooLarge, ModelNotFound, ServingError
from ..wire.messages import Servable
from .connections.connection import AGAIN_AFTER, Connection
from .failures import Failure, error_of, failure_of
from .replicas.replica import NO_WORD, Replica, State, Wanted
from .replicas.service import Replicas
from .steps import Abandon, Ask, Attempt, Flow, Metadata, Pause

_Code = grpc.StatusCode
_SHORT = 1.0  # seconds; a call that a living server cut off after more is not computed a third time
_CONNECT = 0.3  # seconds that a connection has to come about, however short the time is
_ASK = 1.0  # seconds that a replica has to say how it is after it failed a call
_MOMENT = 0.02  # seconds between questions to a replica that has failed one
# gRPC shortens or lengthens its pause by a fifth; less time than that shows that it did not send again.
_SENT_AGAIN = 0.75 * AGAIN_AFTER

log = logging.getLogger("slimserve")


class Reply(NamedTuple):
    """The bytes of an answer, and the replica that gave it."""

    data: bytes
    replica: Replica


class Caller(NamedTuple):
    """Calls one servable of a set of replicas; its requests bring `own` metadata beside the client's."""

    connection: Connection
    replicas: Replicas
    servable: Servable
    connect_timeout: float
    own: Metadata = ()

    def metadata(self) -> Metadata:
        """Give what is sent with a request now: the token is asked for each time."""
        return (*self.connection.metadata(), *self.own)

    def call(
        self, method: str, request: bytes, deadline: float, signature: str = "", version: int = 0
    ) -> Flow[Reply]:
        """Send `request` until it is answered; `deadline` is a time of `time.monotonic()`.

        `version` is the one that the request is pinned to, where that is not the client's. Raises the ServingError
        that fits.
        """
        servable = Servable(self.servable.model, version) if version else self.servable
        call = _Call(self, method, request, deadline, servable, signature)
        try:
            return (yield from call.run())
        except ServingError:
            self.replicas.failed += 1
            raise


class _Call:
    """One call under way."""

    def __init__(
        self,
        caller: Caller,
        method: str,
        request: bytes,
        deadline: float,
        servable: Servable,
        signature: str,
    ) -> None:
        self.caller, self.replicas, self.retry = caller, caller.replicas, caller.replicas.retry
        self.method, self.request, self.deadline = method, request, deadline
        self.servable, self.signature = servable, signature
        self.wanted: Wanted = (servable.version, servable.version_label)
        self.begun = time.monotonic()
        self.failure: Failure | None = None
        self.sent = 0
        self.tried: set[Replica] = set()
        self.pauses = self.retry.pauses()
        self.explained = False  # whether it was looked into why no connection comes about

    def run(self) -> Flow[Reply]:
        replicas = self.replicas
        replicas.begin(self.deadline - self.begun)
        yield from self._hear()
        while True:
            if self._remaining() <= 0:
                raise self._out_of_time()
            replica = replicas.choose(self.wanted, self.tried)
            if replica is None:
                yield from self._pause()
                continue
            try:
                was_out = replica.is_out
                reply = None if was_out else (yield from self._attempt(replica))
            finally:
                replicas.release(replica)
            if was_out:
                yield from self._revive(replica)
            if reply is not None:
                return reply

    def _hear(self) -> Flow[None]:
        """Ask how the replicas are, where that is not known."""
        unheard = self.replicas.unheard()
        if not unheard:
            return
        yield Ask(unheard, min(_ASK, self._remaining() / 4), self.caller.metadata(), first=True)
        self.replicas.was_connected |= any(replica.state is State.UP for replica in unheard)
        # Where there is no other to ask, the call finds out.
        if len(unheard) == 1 and not self.replicas.was_connected:
            unheard[0].state = State.UNKNOWN

    def _remaining(self) -> float:
        return self.deadline - time.monotonic()

    def _attempt(self, replica: Replica) -> Flow[Reply | None]:
        """Send the request; None where it may be sent again. Raises the error that fits where it may not."""
        begun, abandoned = time.monotonic(), replica.abandoned
        replica.calls += 1
        try:
            data = yield Attempt(
                replica, self.method, self.request, self.deadline - begun, self.caller.metadata()
            )
        except grpc.RpcError as refusal:
            failure = failure_of(refusal)
        else:
            replica.answered(self.wanted, time.monotonic() - begun)
            self.replicas.was_connected = True
            return Reply(data, replica)
        replica.failures += 1
        code = failure.code
        if code is _Code.DEADLINE_EXCEEDED and self.failure:
            raise self._out_of_time()
        self.failure = failure
        if code is _Code.CANCELLED and replica.abandoned > abandoned:  # by the watch
            self.failure = Failure(_Code.UNAVAILABLE, NO_WORD)
            self._again(replica)
            return None
        if code is _Code.UNAVAILABLE:
            yield from self._judge(replica, time.monotonic() - begun)
            return None
        if code is _Code.CANCELLED and not self.replicas.closed:  # by a server that ends
            self.failure = Failure(_Code.UNAVAILABLE, failure.details)
            yield from self._judge(replica, 0.0)
            return None
        self.replicas.was_connected |= code is not _Code.DEADLINE_EXCEEDED
        error = self._error()
        if isinstance(error, ModelNotFound):  # of NOT_FOUND, and of INVALID_ARGUMENT for a label
            replica.lacked(self.wanted, time.monotonic())
            code = _Code.NOT_FOUND
        # The code alone does not tell a server that is full from a message over a limit, which is over it everywhere.
        if code not in self.retry.on or isinstance(error, MessageTooLarge):
            raise error
        if code is _Code.RESOURCE_EXHAUSTED:
            replica.refused_as_full(time.monotonic())
        self._again(replica, elsewhere=code is _Code.NOT_FOUND)
        return None

    def _judge(self, replica: Replica, seconds: float) -> Flow[None]:
        """Find out what UNAVAILABLE after so many seconds means, by asking the replica how it is."""
        if _Code.UNAVAILABLE not in self.retry.on:
            raise self._error()
        yield Ask([replica], max(min(_ASK, self._remaining()), 0.05), self.caller.metadata())
        # What broke the call may have met the question too, and the next: gRPC needs a moment to leave a connection.
        until = time.monotonic() + max(min(_ASK, self._remaining()), 0.05)
        was_gone = self.failure is not None and self.failure.was_refused
        while replica.failure and not self.caller.connection.is_refused_by(replica):
            was_gone |= replica.failure.was_refused
            yield Pause(_MOMENT)
            if (left := until - time.monotonic()) <= 0:
                break
            yield Ask([replica], left, self.caller.metadata(), patient=True)
        if replica.is_out:
            # It may have had the request; whether its answer began, it cannot tell.
            if self.replicas.was_connected:
                self.sent += 1
                if self.sent >= self.retry.attempts or not self.replicas.budget.take():
                    raise self._error()
                self.replicas.repeated += 1
                self._note(replica)
            return
        was_connected, self.replicas.was_connected = self.replicas.was_connected, True
        if was_gone:  # and started again since: whatever it had in hand went with it
            self._again(replica)
            return
        # gRPC has sent again what could be, but where no connection came about.
        if self.caller.connection.alone:
            if was_connected:
                raise self._error(_cut_off(seconds))
            self._again(replica)
            return
        if seconds >= _SENT_AGAIN:
            self.replicas.budget.count_repeated()
            self.replicas.repeated += 1
            self.sent += 1
        if not _SENT_AGAIN <= seconds < _SHORT:
            raise self._error(_cut_off(seconds))
        self._again(replica)

    def _again(self, replica: Replica, elsewhere: bool = False) -> None:
        """Have the request sent again, or only `elsewhere`. Raises the error where attempts or the budget are spent."""
        self.tried.add(replica)
        self.sent += 1
        assert self.failure is not None
        others = [member for member in self.replicas.members if member not in self.tried]
        if elsewhere and not others:
            raise self._error()
        if self.sent >= self.retry.attempts and (self.sent >= len(self.replicas.members) or not others):
            raise self._error()
        if not self.replicas.budget.take():
            log.info("%s: not sent again: the budget for that is spent", self.method)
            raise self._error()
        self.replicas.repeated += 1
        self._note(replica)

    def _note(self, replica: Replica) -> None:
        assert self.failure is not None
        log.info("%s: %s from %s: sent again", self.method, self.failure.code.name, replica)

    def _pause(self) -> Flow[None]:
        """Wait, after every replica was tried."""
        pause = next(self.pauses)
        if pause >= self._remaining():
            raise self._error(waited=True)
        self.tried.clear()
        yield Pause(pause)

    def _revive(self, replica: Replica) -> Flow[None]:
        """Wait until a replica is up, where all that could be asked are out."""
        out = [member for member in self.replicas.members if member.is_out and member not in self.tried]
        others_refused = self.failure is not None and self.failure.code is not _Code.UNAVAILABLE
        limit, is_first = self.deadline, False
        if not self.replicas.was_connected:
            limit = min(limit, self.begun + self.caller.connect_timeout)
            is_first = not others_refused and not self.explained
        seconds = min(max(limit - time.monotonic(), _CONNECT), self._remaining(), _ASK)
        if seconds > 0:
            for member in self.replicas.reopen(out):  # gRPC waits longer and longer before it connects again
                yield Abandon(member)
            yield Ask(out, seconds, self.caller.metadata(), first=True, patient=not is_first)
        if any(not member.is_out for member in out):
            return
        if is_first:
            self.failure = self.caller.connection.explain(replica.failure or self._silence(replica))
            self.explained = True
            if self.failure.is_lasting:
                raise self._error(waited=True)
        if others_refused:  # these are no help
            self.tried.update(out)
            return
        if self.replicas.was_connected:
            self.failure = replica.failure or self._silence(replica)
        if time.monotonic() >= limit:
            raise self._error(waited=True)
        yield Pause(min(next(self.pauses), max(limit - time.monotonic(), 0.0)))

    def _silence(self, replica: Replica) -> Failure:
        return Failure(_Code.UNAVAILABLE, replica.state.value)

    def _out_of_time(self) -> ServingError:
        if self.failure is None:
            where = self.caller.connection
            return DeadlineExceeded(f"no answer from {where}: the deadline had passed before the call")
        return self._error(waited=True)

    def _error(self, note: str = "", waited: bool = False) -> ServingError:
        assert self.failure is not None
        seconds = time.monotonic() - self.begun
        where = f"{self.caller.connection}{self.caller.connection.note()}"
        where += f" within {seconds:.1f} s" if waited and seconds >= 0.1 else note
        return error_of(self.failure, self.servable, self.signature, where)


def _cut_off(seconds: float) -> str:
    if seconds < _SHORT:
        return ""
    return f" (after {seconds:.1f} s; the server is up: it, or what is between, ends connections under calls)"
