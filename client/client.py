"""The client that blocks until the answer is there."""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from types import TracebackType
from typing import Any, TypeVar, overload

import grpc
import numpy.typing as npt

from .base import BaseClient
from .channels.calls import Flow, Pause, Together
from .errors import ServingError
from .images.given import Image
from .models import ModelMetadata, VersionStatus
from .tiles.tiling import Progress
from .types import Analysis, Classification, Segmentation

T = TypeVar("T")


class Client(BaseClient):
    __doc__ = f"{BaseClient.__doc__}\n    Threads may share a client. Close it, or use it as a context manager.\n    "

    def _open(self) -> None:
        self._channels = _Channels(self._connection.open())

    @overload
    def classify(self, images: Image, *, timeout: float | None = None) -> Classification: ...  # type: ignore[overload-overlap]
    @overload
    def classify(self, images: Iterable[Image], *, timeout: float | None = None) -> list[Classification]: ...
    def classify(self, images: Any, *, timeout: float | None = None) -> Any:
        """Rank the classes of an image, or of each of several.

        Several images go in requests of up to eight, each with the deadline. Raises InvalidInput, naming the image,
        and the other errors of this package.
        """
        return self._run(self._classify(images, timeout))

    @overload
    def segment(  # type: ignore[overload-overlap]
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
    def segment(
        self,
        images: Iterable[Image],
        *,
        tile: int | None = None,
        overlap: int | None = None,
        tiles_at_once: int | None = None,
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> list[Segmentation]: ...
    def segment(
        self,
        images: Any,
        *,
        tile: int | None = None,
        overlap: int | None = None,
        tiles_at_once: int | None = None,
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Find the class of every pixel of an image, or of each of several of any sizes, one request each.

        An image with a side of more than `tile` pixels is sent in tiles of at most that, `tiles_at_once` at a time
        (two for each server address), and answered by one version of the model; an encoded one needs Pillow and may
        have up to 268 million pixels, an array, memory-mapped or not, any number. Neighbouring tiles share `overlap`
        pixels, and only labels at least half of that from an edge that is not the image's are kept. By default it
        follows from what the model's network sees, `receptive_field()`, so that an aligned export answers as without
        tiles: some 500 pixels, but 1100 and 1600 for ResNets of 101 and 152 layers, which less may do for. `progress`
        is called with the tiles done and the tiles of the image after each, in this thread. `timeout` is for each
        request.

        Raises InvalidInput, naming the image, and the other errors of this package.
        """
        flow = self._segment(images, timeout, tile, overlap, tiles_at_once, progress)
        return self._run(flow)

    @overload
    def analyze(self, images: Image, *, timeout: float | None = None) -> Analysis: ...  # type: ignore[overload-overlap]
    @overload
    def analyze(self, images: Iterable[Image], *, timeout: float | None = None) -> list[Analysis]: ...
    def analyze(self, images: Any, *, timeout: float | None = None) -> Any:
        """Classify and segment in one pass of the network, at the image's full size.

        Pixels are sent, so that encoded images need Pillow. Raises as `segment` does.
        """
        return self._run(self._analyze(images, timeout))

    def predict(
        self,
        inputs: Mapping[str, npt.ArrayLike],
        *,
        signature: str = "",
        outputs: Sequence[str] = (),
        timeout: float | None = None,
    ) -> dict[str, npt.NDArray[Any]]:
        """Call any signature of any model: arrays by name in, arrays by name out.

        Strings may be `str` or `bytes` and come back as object arrays of `bytes`; bfloat16 comes back as float32.
        Arrays of the answer are read-only views of it where they can be. `outputs` asks for some of them only; an
        empty `signature` is `serving_default`.
        """
        return self._run(self._predict(inputs, signature, outputs, timeout))

    def metadata(self, *, timeout: float | None = None) -> ModelMetadata:
        """Ask for the model's version and signatures."""
        return self._run(self._metadata(timeout))

    def receptive_field(self, *, timeout: float | None = None) -> int | None:
        """Ask how many pixels, a side, decide the scores of a cell of the label map; None where the model won't say."""
        return self._run(self._receptive_field(timeout))

    def status(self, *, timeout: float | None = None) -> list[VersionStatus]:
        """Ask for the states of the model's versions, newest first; of the pinned one if there is one."""
        return self._run(self._status(timeout))

    def wait_until_ready(self, timeout: float = 60.0) -> None:
        """Wait for the server and for the model, in the pinned version, to be available.

        Raises Unavailable where no server answers and ModelNotFound where it has no such model, or not yet.
        """
        self._run(self._wait_until_ready(timeout))

    def close(self) -> None:
        """Close the connections; calls in flight end with ServingError (CANCELLED)."""
        self._channels.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, flow: Flow[T]) -> T:
        """Drive a flow: send what it yields, hand it what comes back."""
        try:
            step = next(flow)
            while True:
                if isinstance(step, Pause):
                    time.sleep(step.seconds)
                    step = flow.send(b"")
                    continue
                if isinstance(step, Together):
                    try:
                        self._run_together(step)
                    except ServingError as error:
                        step = flow.throw(error)
                    else:
                        step = flow.send(b"")
                    continue
                call = self._channels.next().unary_unary(step.method, None, None)
                try:
                    answer = call(step.request, timeout=step.timeout, metadata=self._connection.metadata)
                except grpc.RpcError as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(answer)
        except StopIteration as finished:
            result: T = finished.value
            return result

    def _run_together(self, together: Together) -> None:
        pool = ThreadPoolExecutor(together.at_once)
        try:
            for future in as_completed([pool.submit(self._run, flow) for flow in together.flows]):
                future.result()
                together.after_each()
        finally:  # an error, or Ctrl-C, does not wait for the calls in flight
            pool.shutdown(wait=False, cancel_futures=True)


class _Channels:
    """The channels to the replicas, used in turn; those known to be down only when all are."""

    def __init__(self, channels: list[grpc.Channel]) -> None:
        self._channels = channels
        self._down = [False] * len(channels)
        self._turns = itertools.count()
        self._closed = False
        if len(channels) > 1:
            for index, channel in enumerate(channels):
                channel.subscribe(functools.partial(self._note, index), try_to_connect=True)

    def _note(self, index: int, state: grpc.ChannelConnectivity) -> None:
        self._down[index] = state not in (grpc.ChannelConnectivity.READY, grpc.ChannelConnectivity.IDLE)

    def next(self) -> grpc.Channel:
        """Give the channel for the next call."""
        if self._closed:
            raise RuntimeError("the client is closed")
        turn = next(self._turns) % len(self._channels)
        in_turn = range(turn, turn + len(self._channels))
        up = (index % len(self._channels) for index in in_turn if not self._down[index % len(self._channels)])
        return self._channels[next(up, turn)]

    def close(self) -> None:
        """Close all channels."""
        self._closed = True
        for channel in self._channels:
            channel.close()
