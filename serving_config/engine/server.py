"""The embedded engine as a gRPC server in this process."""

import json
import logging
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from ..errors import ServingConfigError
from ..server import ports
from ..server.protocol import ModelServerConfig
from ..server.tls import ServerTls
from . import rpc_error, services
from .admission import Admission
from .freed_memory import FreedMemory
from .manager import Manager
from .model import warmup
from .model.servable import Servable

log = logging.getLogger(__name__)

# For what is answered at once: status, health, refusals. Predictions have their own.
_THREADS = 8
_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # Otherwise a second server would share the port without a word, and each get half of the calls.
    ("grpc.so_reuseport", 0),
    # As TensorFlow Serving: a token that is too long for it is refused here too, with RESOURCE_EXHAUSTED.
    ("grpc.max_metadata_size", 8192),
    ("grpc.absolute_max_metadata_size", 8192),
)


@dataclass(frozen=True)
class Options:
    """How to serve.

    Attributes:
        host: the address to bind.
        port: 0 for a free one.
        tensor_content: encode the outputs of Predict as raw bytes instead of typed fields.
        poll_seconds: how often the models' folders are read for new versions; 0 for once.
        models_root: what base paths under /models stand for where they do not exist.
        threads: TensorFlow's threads within one operation; 0 for one per core.
        max_requests: how many predictions run at once; None for one for each core.
        max_queue: how many more may wait; None for 16 for each that may run.
        tls: serve TLS with these certificates; None for plaintext.
    """

    host: str = "127.0.0.1"
    port: int = 8500
    tensor_content: bool = False
    poll_seconds: float = 1.0
    models_root: Path | None = None
    threads: int = 0
    max_requests: int | None = None
    max_queue: int | None = None
    tls: ServerTls | None = None


class _Health(health.HealthServicer):
    """grpc.health.v1 with the words of gRPC's own service in C++, which TensorFlow Serving has."""

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802  gRPC's name
        context.set_details("service name unknown")  # sent where the code is not OK
        return super().Check(request, context)


class Engine:
    """The engine. The port is bound at once, so that one in use shows before a model is loaded.

    Raises:
        ServingConfigError: the address cannot be bound.
    """

    def __init__(self, options: Options) -> None:
        self._threads = options.threads
        admission = Admission(options.max_requests, options.max_queue)
        self._freed_memory = FreedMemory(admission.idle_since)
        self._server = grpc.server(
            futures.ThreadPoolExecutor(_THREADS), interceptors=[admission], options=_OPTIONS
        )
        address = ports.address(options.host, options.port)
        try:
            self.port = self._bind(address, options.tls)
        except RuntimeError as error:
            # gRPC does not say why; with TLS it refuses a key that is not the certificate's in the same words.
            reason = "the port is in use, or the key is not the certificate's" if options.tls else "in use"
            raise ServingConfigError(f"cannot listen on {address}: {reason}") from error
        self.address = ports.address(options.host, self.port)
        self._manager = Manager(self._load, options.poll_seconds, options.models_root)
        self._health = _Health()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self._server.add_generic_rpc_handlers(
            services.handlers(self._manager, admission, options.tensor_content)
        )

    def _bind(self, address: str, tls: ServerTls | None) -> int:
        if tls is None:
            return self._server.add_insecure_port(address)
        credentials = grpc.ssl_server_credentials(
            [(tls.key.encode(), tls.certificate.encode())],
            root_certificates=tls.client_ca.encode() if tls.client_ca else None,
            require_client_auth=tls.client_ca is not None,
        )
        return self._server.add_secure_port(address, credentials)

    def start(self, config: ModelServerConfig) -> dict[str, list[int]]:
        """Load every model, then answer; the versions available, by model.

        Raises:
            ServingConfigError: a model cannot be served.
        """
        try:
            self._manager.reload(config)
        except rpc_error.RpcError as error:
            raise ServingConfigError(error.message) from error
        for service in ("", "PredictionService", "ModelService"):
            self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        self._server.start()
        return self._manager.available()

    def tend(self) -> None:
        """What is to be done while serving; call it every now and then, from one thread."""
        self._freed_memory.give_back()

    def stop(self, grace: float = 5.0) -> None:
        """Take no new request, give those begun `grace` seconds."""
        self._health.enter_graceful_shutdown()
        self._server.stop(grace).wait()
        self._manager.stop()

    def _load(self, name: str, version: int, path: Path) -> Servable:
        servable = Servable(name, version, path, self._threads)
        try:
            count = warmup.replay(servable)
        except rpc_error.RpcError:
            servable.close()
            if needs := _needs(path):
                log.error("%s version %d was exported for %s, as its export.json says", name, version, needs)
            raise
        log.info("%s version %d: %d warm-up requests answered", name, version, count)
        return servable


def _needs(version: Path) -> str:
    """The machines that an export runs on, where not on all: of a processor's missing instructions no error tells."""
    try:
        record = json.loads((version / "assets.extra" / "export.json").read_bytes())
        return "" if record["options"]["target"] == "portable" else str(record["runs_on"])
    except (OSError, ValueError, KeyError, TypeError):  # of another tool
        return ""
