"""The client for asyncio."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, overload

import grpc
import grpc.aio
import numpy.typing as npt

from .arguments import BaseClient, SegmentOptions
from .channels.calls import Attempt, Flow, Pause, Step, Together
from .channels.replicas import Replicas, ask_each_time
from .errors import ServingError
from .images.given import Image
from .tasks.classify import classify
from .tasks.segment import analyze, segment
from .tasks.tiling import Progress
from .types import Analysis, Classification, ModelMetadata, Segmentation, VersionStatus

if TYPE_CHECKING:
    from typing_extensions import Unpack

T = TypeVar("T")


class AsyncClient(BaseClient):
    __doc__ = f"""{BaseClient.__doc__}
    For one event loop, in which it connects with the first call. Files are read, images prepared and answers decoded
    in threads. Close it, or use it as an asynchronous context manager.
    """

    def _open(self) -> None:
        self._replicas: Replicas[grpc.aio.Channel] | None = None  # opened in the event loop
        self._closed = False

    @overload
    async def classify(self, images: Image, *, timeout: float | None = None) -> Classification: ...  # type: ignore[overload-overlap]
    @overload
    async def classify(
        self, images: Iterable[Image], *, timeout: float | None = None
    ) -> list[Classification]: ...
    async def classify(self, images: Any, *, timeout: float | None = None) -> Any:
        """Do as `Client.classify`."""
        return await self._run(classify(self._model, images, timeout))

    @overload
    async def segment(self, images: Image, **options: Unpack[SegmentOptions]) -> Segmentation: ...  # type: ignore[overload-overlap]
    @overload
    async def segment(
        self, images: Iterable[Image], **options: Unpack[SegmentOptions]
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
        cut = self._cut(tile, overlap, tiles_at_once, progress)
        return await self._run(segment(self._model, images, cut, timeout))

    @overload
    async def analyze(self, images: Image, *, timeout: float | None = None) -> Analysis: ...  # type: ignore[overload-overlap]
    @overload
    async def analyze(self, images: Iterable[Image], *, timeout: float | None = None) -> list[Analysis]: ...
    async def analyze(self, images: Any, *, timeout: float | None = None) -> Any:
        """Do as `Client.analyze`."""
        return await self._run(analyze(self._model, images, timeout))

    async def predict(
        self,
        inputs: Mapping[str, npt.ArrayLike],
        *,
        signature: str = "",
        outputs: Sequence[str] = (),
        timeout: float | None = None,
    ) -> dict[str, npt.NDArray[Any]]:
        """Do as `Client.predict`."""
        return await self._run(self._model.predict(inputs, signature, outputs, timeout))

    async def metadata(self, *, timeout: float | None = None) -> ModelMetadata:
        """Do as `Client.metadata`."""
        return await self._run(self._model.metadata(timeout))

    async def receptive_field(self, *, timeout: float | None = None) -> int | None:
        """Do as `Client.receptive_field`."""
        return await self._run(self._model.receptive_field(timeout))

    async def status(self, *, timeout: float | None = None) -> list[VersionStatus]:
        """Do as `Client.status`."""
        return await self._run(self._model.status(timeout))

    async def wait_until_ready(self, timeout: float = 60.0) -> None:
        """Do as `Client.wait_until_ready`."""
        await self._run(self._model.wait_until_ready(timeout))

    async def close(self) -> None:
        """Close the connections; calls in flight end with ServingError (CANCELLED)."""
        self._closed = True
        for channel in self._replicas.channels if self._replicas else ():
            await channel.close(None)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def _run(self, flow: Flow[T]) -> T:
        """Drive a flow: do each step that it yields, and hand it the outcome; its own work is done in a thread."""
        finished: list[T] = []

        def advance(resume: Callable[[], Step]) -> Step | None:
            try:
                return resume()
            except StopIteration as stop:  # it cannot cross a future
                finished.append(stop.value)
                return None

        resume = functools.partial(flow.send, None)  # type: ignore[arg-type]
        while step := await asyncio.to_thread(advance, resume):
            try:
                resume = functools.partial(flow.send, await self._do(step))
            except (grpc.RpcError, ServingError) as error:
                resume = functools.partial(flow.throw, error)
        return finished[0]

    async def _do(self, step: Step) -> bytes:
        if isinstance(step, Attempt):
            call = self._next_channel().unary_unary(step.method, None, None)
            return await _outcome(
                call(step.request, timeout=step.timeout, metadata=self._connection.metadata)
            )
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
        else:
            await self._do_together(step)
        return b""

    async def _do_together(self, together: Together) -> None:
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
        if self._closed:
            raise RuntimeError("the client is closed")
        if self._replicas is None:
            self._replicas = ask_each_time(self._connection.open(grpc.aio))
        return self._replicas.next()


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
