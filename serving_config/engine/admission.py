"""How many predictions the engine takes on, and which of them runs next.

A call that finds no place is refused before its message is read: a refusal costs neither memory nor a thread
that another call waits for. A call that has a place receives its message and waits for its turn; one whose
caller has gone meanwhile is dropped without having been started.
"""

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import grpc

from . import rpc_error

# TensorFlow Serving refuses, with the same code, what is beyond --grpc_max_threads and runs the rest at once.
# Here calls wait for their turn instead of sharing the cores, so that many of them do no harm.
_WAITING_FOR_EACH_RUNNING = 16
_POOL = "experimental_thread_pool"  # gRPC's name of what a handler runs in


def usable_cores() -> int:
    """The cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def places(running: int | None, waiting: int | None) -> tuple[int, int]:
    """How many calls run at once, and how many more wait, where None stands for the default."""
    running = running or usable_cores()
    return running, running * _WAITING_FOR_EACH_RUNNING if waiting is None else waiting


class Admission(grpc.ServerInterceptor):  # type: ignore[type-arg]
    """Places for calls, and turns to run.

    Args:
        running: how many run at once; None for one for each core, as each uses all of TensorFlow's threads.
        waiting: how many more may wait; None for 16 for each that runs.

    Attributes:
        pool: the threads of the calls that have a place: those whose handlers name it.
    """

    def __init__(self, running: int | None = None, waiting: int | None = None) -> None:
        self._running, self._waiting = places(running, waiting)
        self._free = self._running
        self.pool = _CountingPool(self._running + self._waiting, thread_name_prefix="prediction")
        self._changed = threading.Condition()
        self._last_end = time.monotonic()
        self._queue: deque[grpc.ServicerContext] = deque()

    def intercept_service(
        self, continuation: Callable[[Any], Any], handler_call_details: grpc.HandlerCallDetails
    ) -> Any:
        """Asked by gRPC for the handler of one call after the other, in one thread; without a place, a refusal."""
        handler = continuation(handler_call_details)
        needs_place = getattr(getattr(handler, "unary_unary", None), _POOL, None) is self.pool
        is_full = self.pool.held >= self._running + self._waiting
        # A handler of a stream is called before the first message is there.
        return grpc.stream_unary_rpc_method_handler(self._refuse) if needs_place and is_full else handler

    def _refuse(self, _: Any, context: grpc.ServicerContext) -> None:
        context.abort(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            f"the server is busy: {self._running} predictions run at once and {self._waiting} more may wait; "
            "try again later, or send fewer at once",
        )

    @contextlib.contextmanager
    def turn(self, context: grpc.ServicerContext) -> Iterator[None]:
        """Wait for one of the places to run, first come, first served, and keep it while the context is open.

        Raises:
            RpcError: the caller has gone (CANCELLED) or its deadline has passed (DEADLINE_EXCEEDED).
        """
        context.add_callback(self._wake)
        with self._changed:
            self._queue.append(context)
            try:
                in_time = self._changed.wait_for(
                    lambda: (self._free and self._queue[0] is context) or not context.is_active(),
                    _remaining(context),
                )
                _check_caller(context, in_time)
                self._free -= 1
            finally:
                self._queue.remove(context)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._last_end = time.monotonic()
                self._changed.notify_all()

    def idle_since(self) -> float | None:
        """When the last prediction ended, in seconds of time.monotonic(); None while one runs."""
        with self._changed:
            return self._last_end if self._free == self._running else None

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()


def _remaining(context: grpc.ServicerContext) -> float:
    """Seconds to the caller's deadline. gRPC gives a caller without one centuries, more than a lock can wait."""
    return min(context.time_remaining(), threading.TIMEOUT_MAX)


def _check_caller(context: grpc.ServicerContext, in_time: bool) -> None:
    if not in_time or _remaining(context) <= 0:
        raise rpc_error.RpcError(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline passed before the start")
    if not context.is_active():
        raise rpc_error.RpcError(grpc.StatusCode.CANCELLED, "Cancelled before the start")


class _CountingPool(futures.ThreadPoolExecutor):
    """A pool that knows how many calls it holds: those that run and those that wait."""

    def __init__(self, threads: int, thread_name_prefix: str) -> None:
        super().__init__(threads, thread_name_prefix)
        self.held = 0
        self._lock = threading.Lock()

    def submit(self, *arguments: Any, **named: Any) -> futures.Future[Any]:
        with self._lock:
            self.held += 1
        future = super().submit(*arguments, **named)
        future.add_done_callback(self._release)
        return future

    def _release(self, _: futures.Future[Any]) -> None:
        with self._lock:
            self.held -= 1
