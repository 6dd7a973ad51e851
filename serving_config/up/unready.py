"""Say why a server that runs is not ready: without it, a wait has no end and no reason."""

import os
import socket
import sys
import time

from ..errors import ServingConfigError
from ..server import ports
from ..server.api import ModelService
from .server_command import Launch

_FIRST_SECONDS, _AGAIN_SECONDS = 20.0, 60.0
_PROXIES = ("grpc_proxy", "https_proxy", "http_proxy")  # in the order that gRPC looks at them


class Watch:
    """Prints on stderr, after 20 seconds and then once a minute, what keeps the server from being ready."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._start = time.monotonic()
        self._next = _FIRST_SECONDS

    def look(self, service: ModelService) -> None:
        """Call it as often as the server is asked."""
        elapsed = time.monotonic() - self._start
        if elapsed >= self._next:
            self._next = elapsed + _AGAIN_SECONDS
            reason = why(service, self._launch)
            print(f"note: not ready after {elapsed:.0f} s: {reason}", file=sys.stderr, flush=True)


def why(service: ModelService, launch: Launch) -> str:
    """What keeps the server from being ready, as far as it can be seen from outside."""
    at = ports.address(launch.host, launch.port)
    models = launch.config.model_config_list.config
    try:
        socket.create_connection((launch.host, launch.port), timeout=2).close()
    except OSError:
        paths = ", ".join(model.base_path for model in models)
        return (
            f"{at} is not open. TensorFlow Serving opens it when every model is loaded, and waits without end for a "
            f"base path that it cannot read ({paths}); its log above names the one"
        )
    if launch.ssl_config:
        return f"{at} is open"
    try:
        for model in models:
            versions = service.versions(model.name)
            if not any(status.state == "AVAILABLE" for status in versions):
                states = ", ".join(f"version {s.version} is {s.state} {s.error}".strip() for s in versions)
                return f"{model.name} has no version that answers ({states or 'none is seen'})"
    except ServingConfigError as error:
        return f"{at} is open, and {error}{_proxy()}"
    return f"{at} is open, and its health service does not say SERVING"


def _proxy() -> str:
    """The proxy of this environment, which may stand between."""
    for name in _PROXIES:
        if os.environ.get(name):
            return f"; the environment names a proxy ({name}): add the host to no_proxy"
    return ""
