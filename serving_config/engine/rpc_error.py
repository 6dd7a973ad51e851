"""The error every part of the engine raises: a gRPC status code and the message TensorFlow Serving gives."""

import grpc

_CODES = {code.value[0]: code for code in grpc.StatusCode}

# grpc_status_util.cc of TensorFlow Serving: longer messages would overrun the client's header limit.
_MESSAGE_LIMIT = 1024


class RpcError(Exception):
    """A request that failed with `code`; `number` is the code as google.rpc.Code numbers it."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def number(self) -> int:
        """The code as an integer, the same in gRPC, in absl and in TensorFlow's error_codes.proto."""
        return int(self.code.value[0])

    @property
    def details(self) -> str:
        """The message as it goes on the wire, cut where TensorFlow Serving cuts."""
        if len(self.message) <= _MESSAGE_LIMIT:
            return self.message
        return self.message[:_MESSAGE_LIMIT] + "...TRUNCATED"


def from_number(number: int, message: str) -> RpcError:
    """The error for an integer status code, UNKNOWN where gRPC has no such code."""
    return RpcError(_CODES.get(number, grpc.StatusCode.UNKNOWN), message)


def invalid_argument(message: str) -> RpcError:
    """INVALID_ARGUMENT, the most frequent."""
    return RpcError(grpc.StatusCode.INVALID_ARGUMENT, message)


def not_found(message: str) -> RpcError:
    """NOT_FOUND: no such model, version or folder."""
    return RpcError(grpc.StatusCode.NOT_FOUND, message)


def failed_precondition(message: str) -> RpcError:
    """FAILED_PRECONDITION: right in form, wrong in the server's present state."""
    return RpcError(grpc.StatusCode.FAILED_PRECONDITION, message)
