"""Image classification and semantic segmentation from a TensorFlow Serving, without TensorFlow.

from slimserve import Client

with Client("localhost:8500", model="vgg_16") as client:
    print(client.classify("cat.jpg").top.name)
    client.segment("street.jpg").overlay().save("overlay.png")
"""

import itertools
import sys

try:
    from .channels.connections.tls import TLS
    from .channels.replicas.statistics import ReplicaStatistics, Statistics
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
    from .faces.aio import AsyncClient
    from .faces.client import Client
    from .types import (
        Analysis,
        Area,
        Classification,
        ModelMetadata,
        Prediction,
        Segmentation,
        Signature,
        StreamItem,
        TensorSpec,
        VersionStatus,
    )
except ModuleNotFoundError as missing:
    # `python -m client` imports this package before it runs the command, which could say it in a line.
    if ("-m", __name__) not in itertools.pairwise(sys.orig_argv):
        raise
    sys.exit(f"error: {missing.name} is not installed: pip install slimserve")

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
