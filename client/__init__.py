"""Image classification and semantic segmentation from a TensorFlow Serving, without TensorFlow.

from slimserve import Client

with Client("localhost:8500", model="vgg_16") as client:
    print(client.classify("cat.jpg").top.name)
    client.segment("street.jpg").overlay().save("overlay.png")
"""

from .aio import AsyncClient
from .channels.tls import TLS
from .client import Client
from .errors import (
    DeadlineExceeded,
    InvalidInput,
    MessageTooLarge,
    ModelNotFound,
    ServerError,
    ServingError,
    SignatureNotFound,
    Unavailable,
)
from .types import (
    Analysis,
    Area,
    Classification,
    ModelMetadata,
    Prediction,
    Segmentation,
    Signature,
    TensorSpec,
    VersionStatus,
)

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
    "Prediction",
    "Segmentation",
    "ServerError",
    "ServingError",
    "Signature",
    "SignatureNotFound",
    "TensorSpec",
    "Unavailable",
    "VersionStatus",
]
