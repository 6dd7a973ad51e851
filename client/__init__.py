"""Image classification and semantic segmentation from a TensorFlow Serving, without TensorFlow.

from slimserve import Client

with Client("localhost:8500", model="vgg_16") as client:
    print(client.classify("cat.jpg").top.name)
    client.segment("street.jpg").overlay().save("overlay.png")
"""

import importlib
import itertools
import sys
import typing

try:
    from .channels.retry import Retry
    from .errors import (
        DeadlineExceeded,
        InvalidInput,
        MessageTooLarge,
        ModelNotFound,
        Overloaded,
        ServerError,
        ServingError,
        SignatureNotFound,
        Unavailable,
    )
    from .faces.client import Client
    from .types import Analysis, Area, Classification, Prediction, Segmentation, StreamItem
except ModuleNotFoundError as missing:
    # `python -m client` imports this package before it runs the command, which could say it in a line.
    if ("-m", __name__) not in itertools.pairwise(sys.orig_argv):
        raise
    sys.exit(f"error: {missing.name} is not installed: pip install . in the clone")

if typing.TYPE_CHECKING:
    from .channels.connections.tls import TLS
    from .channels.replicas.statistics import ReplicaStatistics, Statistics
    from .faces.aio import AsyncClient
    from .wire.described import ModelMetadata, Signature, TensorSpec, VersionStatus

__all__ = [
    "TLS",
    "Analysis",
    "Area",
    "AsyncClient",
    "Classification",
    "Client",
    "DeadlineExceeded",
    "InvalidInput",
    "MessageTooLarge",
    "ModelMetadata",
    "ModelNotFound",
    "Overloaded",
    "Prediction",
    "ReplicaStatistics",
    "Retry",
    "Segmentation",
    "ServerError",
    "ServingError",
    "Signature",
    "SignatureNotFound",
    "Statistics",
    "StreamItem",
    "TensorSpec",
    "Unavailable",
    "VersionStatus",
]

_LATER = {  # imported when asked for, because many programs never do
    "AsyncClient": ".faces.aio",
    "TLS": ".channels.connections.tls",
    **dict.fromkeys(("ReplicaStatistics", "Statistics"), ".channels.replicas.statistics"),
    **dict.fromkeys(("ModelMetadata", "Signature", "TensorSpec", "VersionStatus"), ".wire.described"),
}

if not typing.TYPE_CHECKING:  # for a type checker it would make every name right

    def __getattr__(name: str) -> typing.Any:
        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(importlib.import_module(_LATER[name], __name__), name)
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
