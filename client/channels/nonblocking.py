"""The driver of the client for asyncio: steps are awaited, and the work between them is done in threads."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import os
import weakref
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import grpc
import grpc.aio

from ..errors import ServingError
from ..streams.ahead import Ahead
from ..streams.tasks import each
from .connections.connection import Channel, Connection
from .connections.forks import begin_anew_after_fork
from .failures import failure_of
from .replicas.replica import Replica, State
from .replicas.service import Replicas
from .steps import HEALTH, NOT_SERVING, Abandon, Ask, Attempt, Cancelled, Flow, Pause, Step, Together
from .watch import log_end_of_watch, watch

T = TypeVar("T")


class NonBlocking:
    """Does what flows ask for, on a channel to each replica, in one event loop."""

    def __init__(self, connection: Connection, replicas: Replicas, interceptors: Sequence[Any]) -> None:
        self._connection = connection
        self._replicas = replicas
        self._interceptors = interceptors
        self._channels: weakref.WeakKeyDictionary[Replica, Channel] = weakref.WeakKeyDictionary()
        self._asking: set[asyncio.Task[None]] = set()
        self._watching: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        # Not the event loop's, where a call would wait, beyond its deadline too, for what the application does there.
        self._threads = ThreadPoolExecutor(thread_name_prefix="slimserve call")
        _note_process()
        begin_anew_after_fork(self)

    def after_fork(self) -> object:
        """Begin anew in a forked process."""
        inherited, self._channels = self._channels, weakref.WeakKeyDictionary()
        self._replicas.after_fork()
        return inherited

    def drop(self) -> None:
        """End the watch, from whichever thread; gRPC's channels end with the last who holds them."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> list[asyncio.Task[None]]:
        tasks = [*self._asking, *([self._watching] if self._watching else [])]
        for task in tasks:
            task.cancel()
        return tasks

    async def close(self) -> None:
        """Close the connections; calls in flight end with CANCELLED."""
        await asyncio.gather(*self._cancel(), return_exceptions=True)
        channels = list(self._channels.values())
        self._channels.clear()
        for channel in channels:
            await channel.channel.close(None)

    async def run(self, flow: Flow[T]) -> T:
        """Drive a flow: do each step that it yields, and hand it the outcome; its own work is done in a thread."""
        finished: list[T] = []
        is_left = False

        def advance(resume: Callable[[], Step]) -> Step | None:
            try:
                return resume()
            except StopIteration as stop:  # it cannot cross a future
                finished.append(stop.value)
                return None
            finally:
                if is_left:
                    flow.close()

        resume = functools.partial(flow.send, None)  # type: ignore[arg-type]
        in_thread = functools.partial(self._loop.run_in_executor, self._threads)
        context = contextvars.copy_context()
        try:
            while step := await in_thread(context.run, advance, resume):
                try:
                    resume = functools.partial(flow.send, await self._do(step))
                except (grpc.RpcError, ServingError) as error:
                    resume = functools.partial(flow.throw, error)
        except BaseException:
            is_left = True
            with contextlib.suppress(ValueError):  # its thread works on it, and closes it after that
                flow.close()
            raise
        return finished[0]

    async def _do(self, step: Step) -> bytes:
        if isinstance(step, Attempt):
            if self._replicas.are_several and (self._watching is None or self._watching.done()):
                self._watching = asyncio.create_task(self._keep_watch())
            call = self._call(step.replica, step.method, step.request, step.timeout, step.metadata)
            return await _outcome(call)
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
        elif isinstance(step, Ask):
            await self._ask(step)
        elif isinstance(step, Abandon):
            channel = self._channels.pop(step.replica, None)
            if channel:
                await channel.channel.close(None)
        else:
            await self._do_together(step)
        return b""

    def _call(self, replica: Replica, method: str, request: bytes, *arguments: Any, **named: Any) -> Any:
        if self._replicas.closed:
            raise RuntimeError("the client is closed")
        channel = self._channels.get(replica)
        if channel is None:
            interceptors = self._interceptors or None
            opened = self._connection.open(replica, grpc.aio, interceptors=interceptors)
            channel = self._channels[replica] = Channel(opened)
        timeout, metadata = arguments
        return channel.method(method)(request, timeout=timeout, metadata=metadata, **named)

    async def _ask(self, step: Ask) -> None:
        async def ask(replica: Replica) -> None:
            call = self._call(replica, HEALTH, b"", step.seconds, step.metadata, wait_for_ready=step.patient)
            try:
                answer = await _outcome(call)
            except grpc.RpcError as error:
                replica.health_is(*failure_of(error))
            else:
                replica.health_is(grpc.StatusCode.OK, "", serving=answer != NOT_SERVING)

        def asked(task: asyncio.Task[None]) -> None:
            self._asking.discard(task)
            if not task.cancelled():
                task.exception()  # which is known then: it is raised below, or nobody waits for it any more

        tasks = {asyncio.create_task(ask(replica)) for replica in step.replicas}
        self._asking |= tasks
        for task in tasks:
            task.add_done_callback(asked)
        loop = asyncio.get_running_loop()
        until, pending = loop.time() + step.seconds + 0.1, tasks
        while pending and loop.time() < until:
            done, pending = await asyncio.wait(
                pending, timeout=until - loop.time(), return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                if not task.cancelled():  # as by close()
                    task.result()
            if step.first and any(replica.state is State.UP for replica in step.replicas):
                return

    async def _keep_watch(self) -> None:
        """Watch the replicas in a task, which ends a second after the last call, or with the client."""
        try:
            await self.run(watch(self._replicas, self._connection.metadata))
        except Exception as error:
            log_end_of_watch(error)

    async def _do_together(self, together: Together) -> None:
        async def work(flows: list[tuple[int, Flow[None]]]) -> list[None]:
            for _, flow in flows:
                await self.run(flow)
            return [None] * len(flows)

        ahead = Ahead(together.flows, together.at_once)
        async with contextlib.aclosing(each(work, together.flows, ahead, ordered=False)) as done:
            async for _ in done:
                together.after_each()


_process: int | None = None  # in which grpc.aio was used first


def _note_process() -> None:
    global _process
    _process = _process or os.getpid()
    if _process != os.getpid():  # calls would hang: the thread that grpc.aio polls with was not forked
        raise RuntimeError(
            "AsyncClient was used before this process was forked, and grpc.aio does not work after that: start the "
            'process with multiprocessing\'s "spawn" or "forkserver", or use Client, which works after a fork'
        )


def running_loop() -> asyncio.AbstractEventLoop:
    """Give the event loop. Raises RuntimeError, in words for users of other libraries, where there is none."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            "AsyncClient runs in asyncio's event loop (uvloop's is one), and none is running here: under trio or curio "
            "call Client in a thread, as with trio.to_thread.run_sync(client.segment, image)"
        ) from None


async def _outcome(call: Awaitable[bytes]) -> bytes:
    """Wait for a call's answer. Raises CancelledError only where the waiting task is cancelled, not the call.

    gRPC ends the calls of a channel that is closed with CancelledError too, which nobody meant for the task.
    """
    waiting = asyncio.ensure_future(call)
    try:
        await asyncio.wait({waiting})
    finally:
        if waiting.cancel():
            await asyncio.wait({waiting})
    if waiting.cancelled():
        raise Cancelled("the client was closed")
    return waiting.result()
