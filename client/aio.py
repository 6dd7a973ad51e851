"""The client for asyncio."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar, overload

import grpc
import grpc.aio
import numpy.typing as npt

from .base import BaseClient
from .channels.calls import Flow, Pause, Step, Together
from .errors import ServingError
from .images.given import Image
from .models import ModelMetadata, VersionStatus
from .tiles.tiling import Progress
from .types import Analysis, Classification, Segmentation

T = TypeVar("T")

_UP = (grpc.ChannelConnectivity.READY, grpc.ChannelConnectivity.IDLE)


class AsyncClient(BaseClient):
    __doc__ = f"""{BaseClient.__doc__}
    For one event loop, in which it connects with the first call. Files are read, images prepared and answers decoded
    in threads. Close it, or use it as an asynchronous context manager.
    """

    def _open(self) -> None:
        self._channels: list[grpc.aio.Channel] = []  # opened in the event loop
        self._turns = itertools.count()
        self._closed = False

    @overload
    async def classify(self, images: Image, *, timeout: float | None = None) -> Classification: ...  # type: ignore[overload-overlap]
    @overload
    async def classify(
        self, images: Iterable[Image], *, timeout: float | None = None
    ) -> list[Classification]: ...
    async def classify(self, images: Any, *, timeout: float | None = None) -> Any:
        """Do as `Client.classify`."""
        return await self._run(self._classify(images, timeout))

    @overload
    async def segment(  # type: ignore[overload-overlap]
        self,
        images: Image,
        *,
        tile: int | None = None,
        overlap: int | None = None,
        tiles_at_once: int | None = None,
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> Segmentation: ...
    @overload
    async def segment(
        self,
        images: Iterable[Image],
        *,
        tile: int | None = None,
        overlap: int | None = None,
        tiles_at_once: int | None = None,
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> list[Segmentation]: ...
    async def segment(
        self,
        images: Any,
        *,
        tile: int | None = None,
        overlap: int | None = None,
        tiles_at_once: int | None = None,
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Do as `Client.segment`; `progress` is called in the event loop."""
        flow = self._segment(images, timeout, tile, overlap, tiles_at_once, progress)
        return await self._run(flow)

    @overload
    async def analyze(self, images: Image, *, timeout: float | None = None) -> Analysis: ...  # type: ignore[overload-overlap]
    @overload
    async def analyze(self, images: Iterable[Image], *, timeout: float | None = None) -> list[Analysis]: ...
    async def analyze(self, images: Any, *, timeout: float | None = None) -> Any:
        """Do as `Client.analyze`."""
        return await self._run(self._analyze(images, timeout))

    async def predict(
        self,
        inputs: Mapping[str, npt.ArrayLike],
        *,
        signature: str = "",
        outputs: Sequence[str] = (),
        timeout: float | None = None,
    ) -> dict[str, npt.NDArray[Any]]:
        """Do as `Client.predict`."""
        return await self._run(self._predict(inputs, signature, outputs, timeout))

    async def metadata(self, *, timeout: float | None = None) -> ModelMetadata:
        """Do as `Client.metadata`."""
        return await self._run(self._metadata(timeout))

    async def receptive_field(self, *, timeout: float | None = None) -> int | None:
        """Do as `Client.receptive_field`."""
        return await self._run(self._receptive_field(timeout))

    async def status(self, *, timeout: float | None = None) -> list[VersionStatus]:
        """Do as `Client.status`."""
        return await self._run(self._status(timeout))

    async def wait_until_ready(self, timeout: float = 60.0) -> None:
        """Do as `Client.wait_until_ready`."""
        await self._run(self._wait_until_ready(timeout))

    async def close(self) -> None:
        """Close the connections; calls in flight end with ServingError (CANCELLED)."""
        self._closed = True
        for channel in self._channels:
            await channel.close(None)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def _run(self, flow: Flow[T]) -> T:
        """Drive a flow: send what it yields, hand it what comes back; its own work is done in a thread."""
        finished: list[T] = []

        def advance(resume: Callable[[Any], Step], outcome: Any) -> Step | None:
            try:
                return resume(outcome)
            except StopIteration as stop:  # it cannot cross a future
                finished.append(stop.value)
                return None

        step = await asyncio.to_thread(advance, flow.send, None)
        while step is not None:
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
                step = await asyncio.to_thread(advance, flow.send, b"")
                continue
            if isinstance(step, Together):
                try:
                    await self._run_together(step)
                except ServingError as error:
                    step = await asyncio.to_thread(advance, flow.throw, error)
                else:
                    step = await asyncio.to_thread(advance, flow.send, b"")
                continue
            call = self._next_channel().unary_unary(step.method, None, None)
            try:
                answer = await _outcome(
                    call(step.request, timeout=step.timeout, metadata=self._connection.metadata)
                )
            except grpc.RpcError as error:
                step = await asyncio.to_thread(advance, flow.throw, error)
            else:
                step = await asyncio.to_thread(advance, flow.send, answer)
        return finished[0]

    async def _run_together(self, together: Together) -> None:
        flows = iter(together.flows)

        async def work() -> None:
            for flow in flows:
                await self._run(flow)
                together.after_each()

        workers = [asyncio.create_task(work()) for _ in range(together.at_once)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    def _next_channel(self) -> grpc.aio.Channel:
        """Give the channels in turn; those that are down only when all are."""
        if self._closed:
            raise RuntimeError("the client is closed")
        if not self._channels:
            self._channels = self._connection.open_async()
        turn = next(self._turns) % len(self._channels)
        in_turn = self._channels[turn:] + self._channels[:turn]
        if len(in_turn) == 1:
            return in_turn[0]
        up = (channel for channel in in_turn if channel.get_state(try_to_connect=True) in _UP)
        return next(up, in_turn[0])


async def _outcome(call: Awaitable[bytes]) -> bytes:
    """Wait for a call's answer. Raises CancelledError only where the waiting task is cancelled, not the call.

    gRPC ends the calls of a channel that is closed with CancelledError too, which nobody meant for the task.
    """
    waiting = asyncio.ensure_future(call)
    try:
        await asyncio.wait({waiting})
    finally:
        waiting.cancel()
    if waiting.cancelled():
        nothing = grpc.aio.Metadata()
        raise grpc.aio.AioRpcError(
            grpc.StatusCode.CANCELLED,
            nothing,
            nothing,
            details="the client was closed",
            debug_error_string="",
        )
    return waiting.result()
