"""The client that blocks until the answer is there."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar, overload

import numpy.typing as npt

from ..channels.blocking import Blocking
from ..channels.connections.headers import GivenMetadata
from ..channels.steps import Flow
from ..errors import InvalidInput
from ..images.given import Image, list_images
from ..streams.ahead import Ahead
from ..streams.stop import Stop
from ..streams.threads import each
from ..tasks.chosen import Classes
from ..tasks.classify import Classify
from ..tasks.segment import Analyze, Segment
from ..tasks.task import Named, Placed, Task, items_of, only
from ..types import Analysis, Classification, Segmentation, StreamItem
from .arguments import BaseClient

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..tasks.groups import GivenGroups
    from ..tasks.tiling import Progress
    from ..wire.described import ModelMetadata, VersionStatus
    from .options import CallOptions, SegmentOptions, SegmentStreamOptions, StreamOptions

T = TypeVar("T")
Images: TypeAlias = "Image | Iterable[Image]"
Items: TypeAlias = Generator[StreamItem[T], None, None]


class Client(BaseClient):
    __doc__ = f"{BaseClient.__doc__}\n    Threads may share a client. Close it, or use it as a context manager.\n    "

    def _open(self, interceptors: Sequence[Any]) -> None:
        self._driver = Blocking(self._connection, self._replicas, interceptors)
        # A client that is dropped ends its watch; gRPC's channels end with the last who holds them.
        weakref.finalize(self, self._driver.close).atexit = False

    @overload
    def classify(self, images: Image, **options: Unpack[CallOptions]) -> Classification: ...  # type: ignore[overload-overlap]
    @overload
    def classify(self, images: Iterable[Image], **options: Unpack[CallOptions]) -> list[Classification]: ...
    def classify(
        self, images: Any, *, timeout: float | None = None, metadata: GivenMetadata | None = None
    ) -> Any:
        """Rank the classes of an image, or of each of several.

        The model looks at one crop from the middle of an image, prepared as the network was trained and evaluated;
        `analyze` looks at the whole image, and may rank other classes. Several images go in requests of up to eight,
        each with the deadline. Images are sent upright, as EXIF or XMP says, whatever they are given as; a photo of
        more than 2048x2048 pixels, or than the model takes, is sent smaller where Pillow is there (`sent_size`).

        Raises InvalidInput, naming the image, and the other errors of this package.
        """
        return self._answers(Classify(self._asking(metadata), timeout), images)

    @overload
    def segment(self, images: Image, **options: Unpack[SegmentOptions]) -> Segmentation: ...  # type: ignore[overload-overlap]
    @overload
    def segment(self, images: Iterable[Image], **options: Unpack[SegmentOptions]) -> list[Segmentation]: ...
    def segment(
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
        """Find the class of every pixel of an image, or of each of several of any sizes, one request each.

        Args:
            images: an image, or several.
            tile: an image with a longer side is sent in tiles of at most so many pixels a side, and answered by one
                version of the model. An encoded image needs Pillow then and may have up to 268 million pixels; an
                array, memory-mapped or not, may have any number.
            overlap: the pixels that neighbouring tiles share; only labels at least half of that from a cut are kept.
                The default follows from what the network sees, `receptive_field()`, so that an aligned export
                answers as without tiles: some 500 to 800 pixels, but 1300 and 1800 for ResNets of 101 and 152 layers,
                where less may do.
            tiles_at_once: how many tiles are sent at a time; by default two for each server address.
            progress: called after each tile with the tiles done and the tiles of the image, in this thread.
            classes: the ids or names of the classes that compete for the pixels; by default all. A name that several
                classes have stands for all of them. "top" stands for those that cover 2 % of the pixels or more while
                all compete: the image is sent twice, and small regions go to the classes that are there.
            groups: the group of a class, by the class's name, or a file of lines name<TAB>group. The label map of the
                answer has one class for each group, with the lowest id in it.
            timeout: the deadline of each request in seconds.
            metadata: gRPC metadata that the requests bring beside the client's.

        Raises:
            InvalidInput: an image cannot be sent, or the model refuses it; the error names it. Or there is no such
                class.
            ServingError: the other errors of this package.
        """
        cut = self._cut(tile, overlap, tiles_at_once, progress)
        return self._answers(Segment(self._asking(metadata), timeout, cut, classes, groups), images)

    @overload
    def analyze(self, images: Image, **options: Unpack[CallOptions]) -> Analysis: ...  # type: ignore[overload-overlap]
    @overload
    def analyze(self, images: Iterable[Image], **options: Unpack[CallOptions]) -> list[Analysis]: ...
    def analyze(
        self, images: Any, *, timeout: float | None = None, metadata: GivenMetadata | None = None
    ) -> Any:
        """Classify and segment in one pass of the network, at the image's full size.

        The ranking is that of the whole image, not that of the crop which `classify` looks at. Pixels are sent, so
        that encoded images need Pillow. Raises as `segment` does.
        """
        return self._answers(Analyze(self._asking(metadata), timeout), images)

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
        """Ask for many images, several at a time: an iterator of StreamItem, an answer or an error for each image.

        Memory is bounded, however many images there are. An iterator of images is read in the caller's thread, and
        no further than `concurrency` images ahead of the items that were handed out. Where several small images in
        one request to `classify` are measured to be faster than one, they travel together.

        When the iterator is closed, or given up, the calls under way are cancelled. No thread is
        left, but one that takes longer than 10 s to read or prepare its image; the log says so.

        Args:
            images: a list, or any iterable, of what `classify` takes.
            task: "classify", "segment" or "analyze".
            concurrency: requests at a time; by default two for each replica.
            ordered: whether items come in the order of the images, or as they are answered, which is faster where
                some take longer than others.
            tile: of the task "segment", as its `tile`. Images come one by one then, and their tiles several at a time.
            overlap: as that of `segment`.
            classes: as those of `segment`.
            groups: as those of `segment`.
            timeout: the deadline of each request in seconds.
            metadata: gRPC metadata that the requests bring beside the client's.

        Raises InvalidInput for an argument that cannot be. What is wrong with an image, or with the call for it, is
        the `error` of its item; what the iterator of images raises is raised.
        """
        chosen, at_once = self._task(task, concurrency, tile, overlap, classes, groups, timeout, metadata)
        return self._items(chosen, list_images(images)[0], at_once, ordered)

    def predict(
        self,
        inputs: Mapping[str, npt.ArrayLike],
        *,
        signature: str = "",
        outputs: Sequence[str] = (),
        timeout: float | None = None,
        metadata: GivenMetadata | None = None,
    ) -> dict[str, npt.NDArray[Any]]:
        """Call any signature of any model: arrays by name in, arrays by name out.

        Strings may be `str` or `bytes` and come back as object arrays of `bytes`; bfloat16 comes back as float32.
        Arrays of the answer are read-only views of it where they can be. `outputs` asks for some of them only; an
        empty `signature` is `serving_default`.
        """
        return self._run(self._asking(metadata).predict(inputs, signature, outputs, timeout))

    def metadata(
        self, *, timeout: float | None = None, metadata: GivenMetadata | None = None
    ) -> ModelMetadata:
        """Ask for the model's version and signatures."""
        return self._run(self._asking(metadata).metadata(timeout))

    def receptive_field(
        self, *, timeout: float | None = None, metadata: GivenMetadata | None = None
    ) -> int | None:
        """Ask how many pixels, a side, decide the scores of a cell of the label map; None where the model won't say."""
        return self._run(self._asking(metadata).receptive_field(timeout))

    def status(
        self, *, timeout: float | None = None, metadata: GivenMetadata | None = None
    ) -> list[VersionStatus]:
        """Ask for the states of the model's versions, newest first; of the pinned one if there is one."""
        return self._run(self._asking(metadata).status(timeout))

    def wait_until_ready(self, timeout: float = 60.0, *, replicas: int | None = None) -> None:
        """Wait until every replica, or `replicas` of them, has the model, in the pinned version, and room for a call.

        Raises Unavailable where one does not answer, ModelNotFound where it has no such model, or not yet, and
        Overloaded where it is full all the time.
        """
        self._run(self._model.wait_until_ready(timeout, replicas))

    def close(self) -> None:
        """Close the connections; calls in flight end with ServingError (CANCELLED)."""
        self._driver.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def _run(self, flow: Flow[T]) -> T:
        return self._driver.run(flow)

    def _answers(self, task: Task[T], images: Any) -> T | list[T]:
        listed, is_single = list_images(images)
        if is_single:
            return only(self._run(task.answer(list(listed))))
        at_once = 1 if isinstance(task, Segment) and task.cut.tile else self._usual_concurrency()
        with contextlib.closing(self._items(task, listed, at_once, ordered=True)) as items:
            answers = [item.answer for item in items]
        if not answers:
            raise InvalidInput("there are no images: the list is empty")
        return answers

    def _items(self, task: Task[T], listed: Iterable[Named], at_once: int, ordered: bool) -> Items[T]:
        stop = Stop()

        def work(group: list[Placed]) -> list[StreamItem[T]]:
            return items_of(group, self._driver.run(task.answer([named for _, named in group]), stop))

        ahead = Ahead(listed, at_once, task.together)
        return each(work, listed, ahead, ordered=ordered, end=stop.cancel)
