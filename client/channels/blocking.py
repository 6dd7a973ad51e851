"""The driver of the client that blocks: steps are done in the caller's thread."""

from __future__ import annotations

import functools
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any, TypeVar

import grpc

from ..errors import ServingError
from .connection import Connection
from .replica import Replica, State
from .replicas import Replicas
from .steps import HEALTH, NOT_SERVING, Abandon, Ask, Attempt, Cancelled, Flow, Pause, Step, Together
from .watch import watch

T = TypeVar("T")


class Blocking:
    """Does what flows ask for, on a channel to each replica. Threads may share it."""

    def __init__(self, connection: Connection, replicas: Replicas, interceptors: Sequence[Any]) -> None:
        self._connection = connection
        self._replicas = replicas
        self._interceptors = interceptors
        # A replica that nobody holds any more takes its channel with it.
        self._channels: weakref.WeakKeyDictionary[Replica, _Channel] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._watching = False

    def close(self) -> None:
        """Close the connections; calls in flight end with CANCELLED."""
        self._closed.set()
        self._replicas.closed = True
        with self._lock:
            channels = list(self._channels.values())
            self._channels.clear()
        for channel in channels:
            channel.close()

    def run(self, flow: Flow[T]) -> T:
        """Drive a flow: do each step that it yields, and hand it the outcome."""
        resume = functools.partial(flow.send, None)  # type: ignore[arg-type]
        while True:
            try:
                step = resume()
            except StopIteration as finished:
                result: T = finished.value
                return result
            try:
                resume = functools.partial(flow.send, self._do(step))
            except (grpc.RpcError, ServingError) as error:
                resume = functools.partial(flow.throw, error)

    def _do(self, step: Step) -> bytes:
        if isinstance(step, Attempt):
            if len(self._replicas) > 1 and not self._watching:
                self._watch()
            method = self._channel(step.replica).method(step.method)
            try:
                answer: bytes = method(step.request, timeout=step.timeout, metadata=step.metadata)
            except ValueError as error:  # gRPC's way to say that the channel was closed a moment ago
                raise Cancelled("the connection was closed") from error
            return answer
        if isinstance(step, Pause):
            self._closed.wait(step.seconds)
        elif isinstance(step, Ask):
            self._ask(step)
        elif isinstance(step, Abandon):
            with self._lock:
                old = self._channels.pop(step.replica, None)
            if old:
                old.close()
        else:
            self._do_together(step)
        return b""

    def _channel(self, replica: Replica) -> _Channel:
        channel = self._channels.get(replica)
        if channel is None:
            with self._lock:
                if self._closed.is_set():
                    raise RuntimeError("the client is closed")
                channel = self._channels.get(replica)
                if channel is None:
                    opened = self._connection.open(replica)
                    if self._interceptors:
                        opened = grpc.intercept_channel(opened, *self._interceptors)
                    channel = self._channels[replica] = _Channel(opened)
        return channel

    def _ask(self, step: Ask) -> None:
        answered = threading.Semaphore(0)

        def note(replica: Replica, call: Any) -> None:
            code = call.code()
            drained = code is grpc.StatusCode.OK and call.result() == NOT_SERVING
            replica.health_is(code, call.details() or "", serving=not drained)
            answered.release()

        for replica in step.replicas:
            health = self._channel(replica).method(HEALTH)
            call = health.future(
                b"", timeout=step.seconds, metadata=step.metadata, wait_for_ready=step.patient
            )
            call.add_done_callback(functools.partial(note, replica))
        until = time.monotonic() + step.seconds + 0.1
        for _ in step.replicas:
            if not answered.acquire(timeout=max(until - time.monotonic(), 0.0)):
                return
            if step.first and any(replica.state is State.UP for replica in step.replicas):
                return

    def _do_together(self, together: Together) -> None:
        pool = ThreadPoolExecutor(together.at_once)
        try:
            for future in as_completed([pool.submit(self.run, flow) for flow in together.flows]):
                future.result()
                together.after_each()
        finally:  # an error, or Ctrl-C, does not wait for the calls in flight
            pool.shutdown(wait=False, cancel_futures=True)

    def _watch(self) -> None:
        """Watch the replicas in a thread, which ends a second after the last call, or with the client."""
        with self._lock:
            if self._watching:
                return
            self._watching = True
        threading.Thread(target=self._keep_watch, name="slimserve watch", daemon=True).start()

    def _keep_watch(self) -> None:
        try:
            self.run(watch(self._replicas, self._connection.metadata))
        except RuntimeError:  # closed meanwhile
            pass
        finally:
            self._watching = False


class _Channel:
    """A channel and its methods, made once."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel
        self._methods: dict[str, Callable[..., Any]] = {}
        self.close = channel.close

    def method(self, name: str) -> Any:
        """Give the callable of a gRPC method, bytes in and bytes out."""
        method = self._methods.get(name)
        if method is None:
            method = self._methods[name] = self._channel.unary_unary(name, None, None)
        return method
