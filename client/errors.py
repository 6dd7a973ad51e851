"""What can go wrong with a call.

ServingError
├── InvalidInput        the arguments cannot be sent, or the model refuses them (also a ValueError)
├── ModelNotFound       no such model, version or label on the server
├── SignatureNotFound   the model has no such signature
├── DeadlineExceeded    no answer within the timeout
├── Unavailable         no server could be reached, or the connection broke
├── Overloaded          no replica has room for the call
├── MessageTooLarge     over the protocol's 2 GiB, or over a limit the server sets
└── ServerError         anything else: the server failed, or its answer makes no sense
"""

from __future__ import annotations

import grpc


class ServingError(Exception):
    """Base of every error of this package.

    `code` is the gRPC status (of the server, or what it would have said), `details` the server's own words, empty
    where no server was asked; `str()` says what is wrong and what to do.
    """

    code = grpc.StatusCode.UNKNOWN

    def __init__(self, message: str, *, code: grpc.StatusCode | None = None, details: str = "") -> None:
        super().__init__(message)
        self.code = code or type(self).code
        self.details = details


class InvalidInput(ServingError, ValueError):
    """The arguments cannot be sent, or the model refuses them."""

    code = grpc.StatusCode.INVALID_ARGUMENT


class ModelNotFound(ServingError):
    """No such model, version or version label on the server."""

    code = grpc.StatusCode.NOT_FOUND


class SignatureNotFound(ServingError):
    """The model has no such signature."""

    code = grpc.StatusCode.FAILED_PRECONDITION


class DeadlineExceeded(ServingError):
    """No answer within the timeout."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED


class Unavailable(ServingError):
    """No server could be reached, or the connection broke before the answer."""

    code = grpc.StatusCode.UNAVAILABLE


class Overloaded(ServingError):
    """No replica has room for the call: all their threads, their queues or their memory are taken."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class MessageTooLarge(ServingError):
    """A request or an answer over the protocol's 2 GiB, or over a limit the server sets."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class ServerError(ServingError):
    """The server failed, or its answer makes no sense."""

    code = grpc.StatusCode.INTERNAL
