"""Image classification and semantic segmentation from a TensorFlow Serving, without TensorFlow.

from client import Client

with Client("localhost:8500", model="vgg_16") as client:
    print(client.classify("cat.jpg").top.name)
    client.segment("street.jpg").overlay().save("overlay.png")
"""

from ._async_client import AsyncClient
from ._client import Client
from ._connection import TLS
from ._exceptions import (
    DeadlineExceeded,
    InvalidInput,
    MessageTooLarge,
    ModelNotFound,
    ServerError,
    ServingError,
    SignatureNotFound,
    Unavailable,
)
from ._models import ModelMetadata, Signature, TensorSpec, VersionStatus
from ._results import Analysis, Area, Classification, Prediction, Segmentation

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
