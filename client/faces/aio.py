"""The client for asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar, overload

import grpc.aio
import numpy.typing as npt

from ..channels.connections.headers import GivenMetadata
from ..channels.nonblocking import NonBlocking, running_loop
from ..channels.replicas.service import Replicas
from ..channels.steps import Flow
from ..errors import InvalidInput
from ..images.given import Image, list_images, name_in_list
from ..streams.ahead import Ahead
from ..streams.tasks import each
from ..tasks.chosen import Classes
from ..tasks.classify import Classify
from ..tasks.groups import GivenGroups
from ..tasks.segment import Analyze, Segment
from ..tasks.task import Named, Placed, Task, items_of, only
from ..types import Analysis, Classification, Segmentation, StreamItem
from .arguments import BaseClient

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..tasks.tiling import Progress
    from ..wire.described import ModelMetadata, VersionStatus
    from .options import CallOptions, SegmentOptions, SegmentStreamOptions, StreamOptions

T = TypeVar("T")
Images: TypeAlias = "Image | Iterable[Image] | AsyncIterable[Image]"
Items: TypeAlias = AsyncGenerator[StreamItem[T], None]


class AsyncClient(BaseClient):
    __doc__ = f"""{BaseClient.__doc__}
    It connects with the first call, anew in each event loop. Files are read, images prepared and answers decoded
    in threads. Close it, or use it as an asynchronous context manager.
    """

    def _open(self, interceptors: Sequence[Any]) -> None:
        if not all(isinstance(each, grpc.aio.ClientInterceptor) for each in interceptors):
            raise InvalidInput("interceptors= of AsyncClient are instances of grpc.aio.ClientInterceptor")
        self._interceptors = interceptors
        # Channels belong to an event loop; what is known of the replicas belongs to all.
        self._drivers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, NonBlocking]
        self._drivers = weakref.WeakKeyDictionary()
        weakref.finalize(self, _drop, self._replicas, self._drivers).atexit = False

    @overload
    async def classify(self, images: Image, **options: Unpack[CallOptions]) -> Classification: ...  # type: ignore[overload-overlap]
    @overload
    async def classify(
        self, images: Iterable[Image], **options: Unpack[CallOptions]
    ) -> list[Classification]: ...
    async def classify(
        self, images: Any, *, timeout: float | None = None, metadata: GivenMetadata | None = None
    ) -> Any:
        """Do as `Client.classify`."""
        return await self._answers(Classify(self._asking(metadata), timeout), images)

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
        classes: Classes | Literal["top"] | None = None,
        groups: GivenGroups | None = None,
        timeout: float | None = None,
        metadata: GivenMetadata | None = None,
    ) -> Any:
        """Do as `Client.segment`; `progress` is called in the event loop."""
        cut = self._cut(tile, overlap, tiles_at_once, progress)
        return await self._answers(Segment(self._asking(metadata), timeout, cut, classes, groups), images)

    @overload
    async def analyze(self, images: Image, **options: Unpack[CallOptions]) -> Analysis: ...  # type: ignore[overload-overlap]
    @overload
    async def analyze(self, images: Iterable[Image], **options: Unpack[CallOptions]) -> list[Analysis]: ...
    async def analyze(
        self, images: Any, *, timeout: float | None = None, metadata: GivenMetadata | None = None
    ) -> Any:
        """Do as `Client.analyze`."""
        return await self._answers(Analyze(self._asking(metadata), timeout), images)

    @overload
    def stream(
        self, images: Images, *, task: Literal["classify"] = "classify", **options: Unpack[StreamOptions]
    ) -> Items[Classification]: ...
    @overload
    def stream(
        self, images: Images, *, task: Literal["segment"], **options: Unpack[SegmentStreamOptions]
    ) -> Items[Segmentation]: ...
    @overload
    def stream(
        self, images: Images, *, task: Literal["analyze"], **options: Unpack[StreamOptions]
    ) -> Items[Analysis]: ...
    def stream(
        self,
        images: Images,
        *,
        task: str = "classify",
        concurrency: int | None = None,
        ordered: bool = True,
        tile: int | None = None,
        overlap: int | None = None,
        classes: Classes | Literal["top"] | None = None,
        groups: GivenGroups | None = None,
        timeout: float | None = None,
        metadata: GivenMetadata | None = None,
    ) -> Items[Any]:
        """Do as `Client.stream`: an asynchronous iterator, and the images may come from one too.

        An iterator that is not asynchronous is read in a thread of its own. Leave early by
        `contextlib.aclosing`, or cancel the task: no task is left then.
        """
        chosen, at_once = self._task(task, concurrency, tile, overlap, classes, groups, timeout, metadata)
        return self._items(chosen, _list_images(images)[0], at_once, ordered)

    async def predict(
        self,
        inputs: Mapping[str, npt.ArrayLike],
        *,
        signature: str = "",
        outputs: Sequence[str] = (),
        timeout: float | None = None,
        metadata: GivenMetadata | None = None,
    ) -> dict[str, npt.NDArray[Any]]:
        """Do as `Client.predict`."""
        return await self._run(self._asking(metadata).predict(inputs, signature, outputs, timeout))

    async def metadata(
        self, *, timeout: float | None = None, metadata: GivenMetadata | None = None
    ) -> ModelMetadata:
        """Do as `Client.metadata`."""
        return await self._run(self._asking(metadata).metadata(timeout))

    async def receptive_field(
        self, *, timeout: float | None = None, metadata: GivenMetadata | None = None
    ) -> int | None:
        """Do as `Client.receptive_field`."""
        return await self._run(self._asking(metadata).receptive_field(timeout))

    async def status(
        self, *, timeout: float | None = None, metadata: GivenMetadata | None = None
    ) -> list[VersionStatus]:
        """Do as `Client.status`."""
        return await self._run(self._asking(metadata).status(timeout))

    async def wait_until_ready(self, timeout: float = 60.0, *, replicas: int | None = None) -> None:
        """Do as `Client.wait_until_ready`."""
        await self._run(self._model.wait_until_ready(timeout, replicas))

    async def close(self) -> None:
        """Close the connections; calls in flight in this event loop end with ServingError (CANCELLED)."""
        self._replicas.closed = True
        driver = self._drivers.pop(running_loop(), None)
        if driver:
            await driver.close()
        _drop(self._replicas, self._drivers)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.close()

    async def _run(self, flow: Flow[T]) -> T:
        loop = running_loop()
        driver = self._drivers.get(loop)
        if driver is None:
            for other in filter(None, (reference() for reference in self._drivers.keyrefs())):
                if other.is_closed():  # and held by the channels of its driver
                    self._drivers.pop(other, None)
            driver = self._drivers[loop] = NonBlocking(self._connection, self._replicas, self._interceptors)
        return await driver.run(flow)

    async def _answers(self, task: Task[T], images: Any) -> T | list[T]:
        listed, is_single = _list_images(images)
        if is_single and not isinstance(listed, AsyncIterable):
            return only(await self._run(task.answer(list(listed))))
        at_once = 1 if isinstance(task, Segment) and task.cut.tile else self._usual_concurrency()
        async with contextlib.aclosing(self._items(task, listed, at_once, ordered=True)) as items:
            answers = [item.answer async for item in items]
        if not answers:
            raise InvalidInput("there are no images: the list is empty")
        return answers

    def _items(
        self, task: Task[T], listed: Iterable[Named] | AsyncIterable[Named], at_once: int, ordered: bool
    ) -> Items[T]:
        async def work(group: list[Placed]) -> list[StreamItem[T]]:
            return items_of(group, await self._run(task.answer([named for _, named in group])))

        return each(work, listed, Ahead(listed, at_once, task.together), ordered=ordered)


def _list_images(images: Any) -> tuple[Iterable[Named] | AsyncIterable[Named], bool]:
    return (_name_each(images), False) if isinstance(images, AsyncIterable) else list_images(images)


async def _name_each(images: AsyncIterable[Image]) -> AsyncIterator[Named]:
    index = 0
    async for image in images:
        yield name_in_list(index, image), image
        index += 1


def _drop(replicas: Replicas, drivers: Mapping[asyncio.AbstractEventLoop, NonBlocking]) -> None:
    """End what a client has begun in its event loops, from whichever thread."""
    replicas.closed = True
    for driver in list(drivers.values()):
        driver.drop()
