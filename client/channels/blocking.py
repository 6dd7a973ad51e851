"""The driver of the client that blocks: steps are done in the caller's thread."""

from __future__ import annotations

import functools
import importlib
import sys
import threading
import time
import weakref
from collections.abc import Sequence
from typing import Any, TypeVar

import grpc

from ..errors import InvalidInput, ServerError, ServingError
from ..streams.ahead import Ahead
from ..streams.ctrl_c import before_ctrl_c, ctrl_c_between_locks
from ..streams.stop import Stop
from ..streams.threads import each
from .connections.connection import Channel, Connection
from .connections.forks import begin_anew_after_fork, in_background
from .replicas.replica import Replica, State
from .replicas.service import Replicas
from .steps import HEALTH, NOT_SERVING, Abandon, Ask, Attempt, Cancelled, Flow, Pause, Step, Together
from .watch import log_end_of_watch, watch

T = TypeVar("T")

_LOOK = 0.05  # seconds between two looks whether the client was closed


class Blocking:
    """Does what flows ask for, on a channel to each replica. Threads may share it."""

    def __init__(self, connection: Connection, replicas: Replicas, interceptors: Sequence[Any]) -> None:
        if not all(isinstance(each, grpc.UnaryUnaryClientInterceptor) for each in interceptors):
            raise InvalidInput("interceptors= of Client are instances of grpc.UnaryUnaryClientInterceptor")
        _adapt_to_gevent()
        self._connection = connection
        self._replicas = replicas
        self._interceptors = interceptors
        # A replica that nobody holds any more takes its channel with it.
        self._channels: weakref.WeakKeyDictionary[Replica, Channel] = weakref.WeakKeyDictionary()
        self._lock = threading.RLock()  # the garbage collector may close a dropped client under this lock
        self._closed = False
        self._watching = False
        begin_anew_after_fork(self)

    def after_fork(self) -> object:
        """Begin anew in a forked process."""
        inherited, self._channels = self._channels, weakref.WeakKeyDictionary()
        self._lock = threading.RLock()
        self._watching = False
        self._replicas.after_fork()
        return inherited

    def close(self) -> None:
        """Close the connections; calls in flight end with CANCELLED."""
        before_ctrl_c(self._close)  # a close that was stopped has gRPC wait for ever in the next one

    def _close(self) -> None:
        self._closed = True
        self._replicas.closed = True
        with self._lock:
            channels = list(self._channels.values())
            self._channels.clear()
        for channel in channels:
            channel.channel.close()

    def run(self, flow: Flow[T], stop: Stop | None = None) -> T:
        """Drive a flow: do each step that it yields, and hand it the outcome.

        Raises Stopped where another thread ends it by `stop`.
        """
        with ctrl_c_between_locks():
            return self._run(flow, stop)

    def _run(self, flow: Flow[T], stop: Stop | None) -> T:
        resume = functools.partial(flow.send, None)  # type: ignore[arg-type]
        while True:
            try:
                step = resume()
            except StopIteration as finished:
                result: T = finished.value
                return result
            try:
                resume = functools.partial(flow.send, self._do(step, stop))
            except (grpc.RpcError, ServingError) as error:
                resume = functools.partial(flow.throw, error)
            except BaseException:
                flow.close()
                raise

    def _do(self, step: Step, stop: Stop | None) -> bytes:
        if stop:
            stop.check()
        if isinstance(step, Attempt):
            if self._replicas.are_several and not self._watching:
                self._watch()
            channel = self._channel(step.replica)
            method = channel.method(step.method)
            try:
                if stop:  # gRPC cannot cancel a call that blocks
                    call = method.future(step.request, timeout=step.timeout, metadata=step.metadata)
                    return bytes(stop.outcome(call))
                answer: bytes = method(step.request, timeout=step.timeout, metadata=step.metadata)
            except ValueError as error:  # gRPC's way to say that the channel was closed a moment ago
                if self._channels.get(step.replica) is channel:  # it was not: an interceptor raised this
                    raise
                raise Cancelled("the connection was closed") from error
            return answer
        if isinstance(step, Pause):
            if stop:
                stop.pause(step.seconds)
            else:
                self._pause(step.seconds)
        elif isinstance(step, Ask):
            self._ask(step)
        elif isinstance(step, Abandon):
            with self._lock:
                old = self._channels.pop(step.replica, None)
            if old:
                before_ctrl_c(old.channel.close)
        else:
            self._do_together(step, stop)
        return b""

    def _channel(self, replica: Replica) -> Channel:
        channel = self._channels.get(replica)
        if channel is None:
            with self._lock:
                if self._closed:
                    raise RuntimeError("the client is closed")
                channel = self._channels.get(replica)
                if channel is None:
                    opened = self._connection.open(replica)
                    if self._interceptors:
                        opened = grpc.intercept_channel(opened, *self._interceptors)
                    channel = self._channels[replica] = Channel(opened)
        return channel

    def _pause(self, seconds: float) -> None:
        """Wait, until the client is closed at most; without a lock, for a signal's handler may be what closes it."""
        until = time.monotonic() + seconds
        while not self._closed and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _LOOK))

    def _ask(self, step: Ask) -> None:
        answered = threading.Semaphore(0)

        def note(replica: Replica, call: Any) -> None:
            code = call.code()
            drained = code is grpc.StatusCode.OK and call.result() == NOT_SERVING
            replica.health_is(code, call.details() or "", serving=not drained)
            answered.release()

        for replica in step.replicas:
            self._question(replica, step).add_done_callback(functools.partial(note, replica))
        until = time.monotonic() + step.seconds + 0.1
        for _ in step.replicas:
            if not answered.acquire(timeout=max(until - time.monotonic(), 0.0)):
                return
            if step.first and any(replica.state is State.UP for replica in step.replicas):
                return

    def _question(self, replica: Replica, step: Ask) -> Any:
        while True:
            channel = self._channel(replica)
            ask = functools.partial(
                channel.method(HEALTH).future,
                b"",
                timeout=step.seconds,
                metadata=step.metadata,
                wait_for_ready=step.patient,
            )
            try:
                # gRPC starts a thread that brings the answers of such calls.
                return before_ctrl_c(functools.partial(in_background, ask))
            except ValueError as error:  # as above
                if self._closed:
                    words = "the call was cancelled: the client was closed"
                    raise ServerError(words, code=grpc.StatusCode.CANCELLED) from error
                if self._channels.get(replica) is channel:
                    raise
                # Another thread has given this connection up: there is a new one.

    def _do_together(self, together: Together, stop: Stop | None) -> None:
        inner = Stop(stop)

        def work(flows: list[tuple[int, Flow[None]]]) -> list[None]:
            return [self.run(flow, inner) for _, flow in flows]

        ahead = Ahead(together.flows, together.at_once)
        try:
            for _ in each(work, together.flows, ahead, ordered=False, end=inner.cancel):
                together.after_each()
        finally:
            inner.cancel()

    def _watch(self) -> None:
        """Watch the replicas in a thread, which ends a second after the last call, or with the client."""

        def start() -> None:
            threading.Thread(target=self._keep_watch, name="slimserve watch", daemon=True).start()
            self._watching = True

        with self._lock:
            if not self._watching:
                before_ctrl_c(start)

    def _keep_watch(self) -> None:
        goes_on = True
        while goes_on:
            try:
                self.run(watch(self._replicas, self._connection.metadata))
            except Exception as error:
                log_end_of_watch(error)
                goes_on = False
            with self._lock:  # under which a call that has just begun sees this watch, or starts one
                goes_on = self._watching = goes_on and self._replicas.is_in_use()


def _adapt_to_gevent() -> None:
    """Let calls block their greenlet alone, where gevent has taken the place of threads in this process."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("socket"):
        importlib.import_module("grpc.experimental.gevent").init_gevent()
