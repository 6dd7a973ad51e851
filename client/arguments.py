"""What Client and AsyncClient are made with, and how long each may take."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict

from .channels.calls import Caller
from .channels.connection import Compression, make_connection
from .channels.tls import Security
from .errors import InvalidInput
from .limits import check_text, check_timeout
from .tasks.model import Model
from .tasks.segment import Cut
from .tasks.tiling import Progress
from .wire.messages import Servable

if TYPE_CHECKING:
    from typing_extensions import Unpack  # noqa: F401

_TILES_PER_SERVER = 2  # one is on its way while another is computed


class SegmentOptions(TypedDict, total=False):
    """What `segment` takes beside the images; `Client.segment` explains it."""

    tile: int | None
    overlap: int | None
    tiles_at_once: int | None
    progress: Progress | None
    timeout: float | None


class BaseClient(ABC):
    """A model on a server, or on several replicas of it.

    Args:
        server: `host:port` (port 8500 if left out), several in a list or with commas between, or a gRPC name such as
            `dns:///vgg:8500`, behind which every address is used in turn.
        model: the model's name on the server.
        version: the number of the version that has to answer; by default the newest answers.
        version_label: the label of the version that has to answer, such as "stable"; not beside `version`.
        timeout: the deadline of each request in seconds, retries included.
        connect_timeout: while no server has answered yet, calls give up after so many seconds, before the deadline:
            a wrong address or a server that is not running shows in 3 seconds, not in 60. Once a server has answered,
            calls go on trying until their deadline. To wait for a server that is starting, use `wait_until_ready`.
        tls: True (publicly trusted certificates), the file of a CA certificate, a `TLS`, or gRPC credentials.
        token: sent as a bearer token, over TLS or to this machine only.
        compression: "gzip" or "deflate", for requests.

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
        token: str | None = None,
        compression: Compression | None = None,
    ) -> None:
        if not model:
            raise InvalidInput("the model has no name")
        check_text("the model", model)
        check_text("the version label", version_label or "")
        if version is not None and version_label is not None:
            raise InvalidInput("version and version_label exclude each other")
        if version is not None and not 0 <= version < 1 << 63:
            raise InvalidInput(f"there is no version {version}")
        check_timeout(timeout)
        self._connection = make_connection(server, tls, token, compression)
        servable = Servable(model, version, version_label)
        self._model = Model(Caller(self._connection, servable, check_timeout(connect_timeout)), timeout)
        self._open()

    @abstractmethod
    def _open(self) -> None:
        """Set up what the calls are sent on."""

    def _cut(
        self, tile: int | None, overlap: int | None, at_once: int | None, progress: Progress | None
    ) -> Cut:
        return Cut(tile, overlap, at_once or _TILES_PER_SERVER * len(self._connection.targets), progress)
