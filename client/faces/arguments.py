"""What Client and AsyncClient are made with, and how long each may take."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import grpc

from ..channels.calls import Caller
from ..channels.connections.connection import Compression, make_connection
from ..channels.connections.headers import GivenMetadata, Token, check_metadata
from ..channels.replicas.service import Replicas
from ..channels.retry import Retry
from ..errors import InvalidInput
from ..limits import brief, check_text, check_timeout, check_whole
from ..tasks.chosen import Classes
from ..tasks.classify import Classify
from ..tasks.model import Model
from ..tasks.segment import Analyze, Cut, Segment
from ..tasks.task import Task
from ..wire.messages import Servable

if TYPE_CHECKING:
    from ..channels.connections.tls import Security
    from ..channels.replicas.statistics import Statistics
    from ..tasks.groups import GivenGroups
    from ..tasks.tiling import Progress

_TASKS = ("classify", "segment", "analyze")
_PER_REPLICA = 2  # requests at a time: one is on its way while another is computed


class BaseClient(ABC):
    """A model on a server, or on several replicas of it.

    Args:
        server: `host:port` (port 8500 if left out), several in a list or with commas between, or a gRPC name such as
            `dns:///vgg:8500`. Every address behind a name is a replica, and addresses that come or go are noticed
            within seconds.
        model: the model's name on the server.
        version: the number of the version that has to answer; by default the newest answers.
        version_label: the label of the version that has to answer, such as "stable"; not beside `version`.
        timeout: the deadline of each request in seconds, retries included.
        connect_timeout: while no server has answered yet, calls give up after so many seconds, before the deadline:
            a wrong address or a server that is not running shows in 3 seconds, not in 60. Once a server has answered,
            calls go on trying until their deadline. To wait for a server that is starting, use `wait_until_ready`.
        tls: True (publicly trusted certificates), the file of a CA certificate, a `TLS`, or gRPC credentials.
        token: sent as a bearer token, over TLS or to this machine only. A function that gives the token of now is
            asked for each request, in a thread that may block.
        compression: "gzip" or "deflate", for requests.
        retry: when a request is sent again, and how much of that the servers bear.
        metadata: a mapping, or pairs, of further gRPC metadata that each request brings.
        interceptors: gRPC's client interceptors, of `grpc` for Client and of `grpc.aio` for AsyncClient, such as those
            of OpenTelemetry.
        proxy: `http://host:port` of an HTTP proxy; False for none; None for that of the environment (`grpc_proxy`,
            `https_proxy`, `http_proxy`, but `no_proxy`), through which nothing for this machine ever goes.

    Raises:
        InvalidInput: an argument that cannot be.

    Over TLS, with a private CA, and mutually:

        Client("vgg.example:443", model="vgg_16", tls="ca.pem")
        Client("vgg.example:443", model="vgg_16", tls=TLS(ca="ca.pem", certificate="me.pem", key="me.key"))
    """

    def __init__(
        self,
        server: str | Sequence[str] = "localhost:8500",
        *,
        model: str,
        version: int | None = None,
        version_label: str | None = None,
        timeout: float = 60.0,
        connect_timeout: float = 3.0,
        tls: Security = False,
        token: Token | None = None,
        compression: Compression | None = None,
        retry: Retry | None = None,
        metadata: GivenMetadata = (),
        interceptors: Sequence[Any] = (),
        proxy: str | bool | None = None,
    ) -> None:
        self._arguments = {**locals()}  # the first thing done
        del self._arguments["self"]
        check_text("the model", model)
        if not model:
            raise InvalidInput("the model has no name")
        check_text("the version label", "" if version_label is None else version_label)
        if version_label == "":
            raise InvalidInput("the version label is empty: leave it out")
        if version is not None and version_label is not None:
            raise InvalidInput("version and version_label exclude each other")
        if version is not None:
            version = check_whole("a version", version, 0)
            if version >= 1 << 63:
                raise InvalidInput(f"there is no version {brief(version)}")
        timeout = check_timeout(timeout)
        retry = Retry() if retry is None else retry
        if not isinstance(retry, Retry):
            raise InvalidInput(f"retry= is a Retry, such as Retry(attempts=3), not {brief(retry)}")
        if isinstance(interceptors, (str, bytes)) or not isinstance(interceptors, Iterable):
            raise InvalidInput(f"interceptors= is a list of gRPC's interceptors, not {brief(interceptors)}")
        interceptors = self._arguments["interceptors"] = tuple(interceptors)
        connection = make_connection(server, tls, token, compression, retry, metadata, proxy)
        self._connection = connection
        self._replicas = Replicas(connection.following, retry)
        servable = Servable(model, version, version_label)
        caller = Caller(connection, self._replicas, servable, check_timeout(connect_timeout))
        self._model = Model(caller, timeout)
        self._open(interceptors)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the arguments: a worker makes a client of its own from them."""
        given = self._arguments
        secret = "token=" if isinstance(given["token"], str) else "metadata=" if given["metadata"] else ""
        if secret:
            raise TypeError(
                f"a client with {secret} is not pickled, as what is secret would go with it: make one in each process"
                + (", or give token= as a function that can be pickled" if secret == "token=" else "")
            )
        if isinstance(given["tls"], grpc.ChannelCredentials):
            raise TypeError(
                "a client with gRPC's credentials cannot be pickled: give tls= as files, or a TLS"
            )
        return functools.partial(type(self), **given), ()

    @abstractmethod
    def _open(self, interceptors: Sequence[Any]) -> None:
        """Set up what the calls are sent on."""

    def statistics(self) -> Statistics:
        """Give what this client has counted so far: calls, repetitions, and for each replica how it is and how fast."""
        from ..channels.replicas.statistics import count

        return count(self._replicas)

    def _asking(self, metadata: GivenMetadata | None) -> Model:
        """Give the model for a call that brings metadata of its own."""
        return self._model if metadata is None else self._model.with_metadata(check_metadata(metadata))

    def _cut(
        self, tile: int | None, overlap: int | None, at_once: int | None, progress: Progress | None
    ) -> Cut:
        return Cut(tile, overlap, self._usual_concurrency() if at_once is None else at_once, progress)

    def _usual_concurrency(self) -> int:
        return _PER_REPLICA * len(self._replicas)

    def _task(
        self,
        task: str,
        concurrency: int | None,
        tile: int | None,
        overlap: int | None,
        classes: Classes | Literal["top"] | None,
        groups: GivenGroups | None,
        timeout: float | None,
        metadata: GivenMetadata | None,
    ) -> tuple[Task[Any], int]:
        """Give what a stream asks of its images, and how many at a time. Raises InvalidInput."""
        at_once = (
            self._usual_concurrency() if concurrency is None else check_whole("concurrency", concurrency, 1)
        )
        if not isinstance(task, str) or task not in _TASKS:
            raise InvalidInput(f"there is no task {brief(task)}: it is 'classify', 'segment' or 'analyze'")
        model = self._asking(metadata)
        # Tiles are requests too: an image that may be cut is taken alone, and its tiles at once.
        if task == "segment":
            cut = Cut(tile, overlap, at_once, None)
            return Segment(model, timeout, cut, classes, groups), 1 if tile else at_once
        if any(option is not None for option in (tile, overlap, classes, groups)):
            raise InvalidInput(
                f"tile, overlap, classes and groups are of the task 'segment', not of {task!r}"
            )
        return (Classify if task == "classify" else Analyze)(model, timeout), at_once
