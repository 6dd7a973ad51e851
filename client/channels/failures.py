"""Failed calls to the errors of this package: what went wrong, why it may be, what to do."""

from __future__ import annotations

import re
from typing import NamedTuple

import grpc

from ..errors import (
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
from ..wire.messages import Servable

_Code = grpc.StatusCode


class Failure(NamedTuple):
    """How a call ended: the status and the server's, or gRPC's, own words."""

    code: grpc.StatusCode
    details: str

    @property
    def cause(self) -> str:
        """The likely cause of a connection that fails, in words; empty where gRPC's own say it."""
        return next((cause for pattern, cause, _ in _CAUSES if re.search(pattern, self.details)), "")

    @property
    def was_refused(self) -> bool:
        """Whether, as far as gRPC says, nothing listens at the last address tried."""
        return self.cause == _REFUSED

    @property
    def is_lasting(self) -> bool:
        """Whether waiting is of no use: the two sides do not speak the same protocol, or do not trust.

        No code tells that from a server that is starting; words that this list lacks make the error come later, when
        the time to connect is over.
        """
        return any(re.search(pattern, self.details) for pattern, _, lasting in _CAUSES if lasting)


def failure_of(error: grpc.RpcError) -> Failure:
    """Read the status off an error of the sync or the async stack."""
    code, details = getattr(error, "code", None), getattr(error, "details", None)
    return Failure(
        code() if callable(code) else _Code.UNKNOWN, (details() if callable(details) else "") or ""
    )


_REFUSED = "nothing listens there"
_CAUSES = (  # pattern, cause, whether it lasts
    (r"CERTIFICATE_VERIFY_FAILED.*expired", "the server's certificate has expired", True),
    (
        r"CERTIFICATE_VERIFY_FAILED.*not yet valid",
        "the server's certificate is not valid yet: compare the clocks",
        True,
    ),
    (
        r"(?i)hostname verification|peer name .* is not in peer certificate",
        "the server's certificate is made out to another name: see TLS(server_name=...)",
        True,
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED: ",
        "the server's certificate is not signed by the CA that the client trusts: see tls= (--tls-ca)",
        True,
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED",  # older gRPC does not say why
        "the server's certificate has expired or is not signed by the CA that the client trusts: "
        "see tls= (--tls-ca)",
        True,
    ),
    (r"WRONG_VERSION_NUMBER", "the server speaks without TLS: leave out tls= (--tls, --tls-ca)", True),
    (
        r"(?i)CERTIFICATE_REQUIRED|alert.*certificate",
        "the server refuses the client's certificate, or misses one: see TLS(certificate=, key=)",
        True,
    ),
    (r"(?i)handshake failed", "the TLS handshake failed", True),
    (
        r"Failed to create security handshaker",
        "the TLS files cannot be used: one is damaged, the key is not that of the certificate, or it is encrypted: see "
        "tls= (--tls-ca, --tls-cert, --tls-key)",
        True,
    ),
    (
        r"Failed parsing HTTP/2",
        "this is not a gRPC port (TensorFlow Serving's REST port is 8501, its gRPC port 8500)",
        True,
    ),
    (
        r"(?i)backends failing.*(socket closed|connection reset|broken pipe|EOF)"
        r"|all addresses.*(socket closed|connection reset|broken pipe|EOF)",
        "the server closes the connection at once: it may require TLS (tls=), or a client certificate "
        "(TLS(certificate=, key=))",
        False,
    ),
    (r"(?i)connection refused", _REFUSED, False),
    (r"(?i)resolving|DNS (resolution|query) failed", "the host's name is not known", False),
    (r"(?i)timed out|timeout", "nothing answers there", False),
)


# gRPC's words for an answer that is HTTP, not gRPC.
_HTTP_STATUS = r"(?i)http2? (?:header with )?status:? (\d{3})"
_ELSEWHERE = "sends the call elsewhere, which gRPC does not follow: give the address it leads to, or tls="
_OF_A_PROXY: dict[int, tuple[type[ServingError], str]] = {
    **dict.fromkeys((301, 302, 303, 307, 308), (ServerError, _ELSEWHERE)),
    401: (ServerError, "asks for credentials: see token= (--token-file), or metadata="),
    403: (ServerError, "does not let the call through: the token, the certificate or its rules say no"),
    404: (ServerError, "does not know the call: it passes no gRPC on, or on another path or port"),
    **dict.fromkeys((405, 415), (ServerError, "takes no such call: it passes no gRPC on")),
    413: (MessageTooLarge, "refuses the request for its size: raise its limit (nginx: client_max_body_size)"),
    429: (Overloaded, "has no room for the call: it lets so many through, and no more"),
    **dict.fromkeys((502, 503), (Unavailable, "does not reach the model server")),
    504: (Unavailable, "had no answer from the model server in its own time"),
}

# TensorFlow Serving's words where its batching cannot join what callers sent, or take the answer apart.
_BATCHED = r"Batching (session )?Run\(\)|Batched output tensor|Tensors with name .* from different tasks"


def error_of(failure: Failure, servable: Servable, signature: str, address: str) -> ServingError:
    """Make the error for a call that a server, or the way to it, failed."""
    kind, message = _classify(failure, servable, signature, address)
    return kind(message, code=failure.code, details=failure.details)


def _classify(
    failure: Failure, servable: Servable, signature: str, address: str
) -> tuple[type[ServingError], str]:
    code, details = failure
    # A crash inside a graph brings the graph's nodes with it; the first line is what a caller understands.
    words = details.split("\n")[0] or code.name
    if http := re.search(_HTTP_STATUS, details):
        kind, what = _OF_A_PROXY.get(int(http[1]), (ServerError, "answers instead of a model server"))
        return kind, f"a proxy or a web server at {address} {what} (HTTP {http[1]})"
    if code is _Code.NOT_FOUND or details.startswith("Unrecognized servable version label"):
        return ModelNotFound, f"{servable} is not served at {address}: {words}"
    if re.match(r'Serving signature key ".*" not found|No signature was found with the name', details):
        return SignatureNotFound, f"{servable} has no signature {signature!r}: `metadata` lists those it has"
    if re.search(_BATCHED, details):
        kind = InvalidInput if code is _Code.INVALID_ARGUMENT else ServerError
        return kind, (
            f"{address} batches requests (--enable_batching), which suits encoded images and inputs of one size to "
            f"{servable}, and no label maps: ask a server that does not; signature {signature!r}: {words}"
        )
    if code in (_Code.INVALID_ARGUMENT, _Code.OUT_OF_RANGE):
        return InvalidInput, f"the model refuses the request: {words}"
    if code is _Code.DEADLINE_EXCEEDED:
        return DeadlineExceeded, f"no answer from {address} in time: {words}"
    if code is _Code.UNAVAILABLE:
        return Unavailable, f"no answer from {address}: {failure.cause or words}"
    if code is _Code.RESOURCE_EXHAUSTED and "metadata size exceeds" in details:
        return (
            MessageTooLarge,
            f"token= and metadata= (--token-file) are over the limit of {address}: {words}",
        )
    if code is _Code.RESOURCE_EXHAUSTED and re.search(r"larger than max|message.*too large", details):
        return MessageTooLarge, f"the message is over a size limit: {words}"
    if code is _Code.RESOURCE_EXHAUSTED:  # TensorFlow Serving says no more when it has too many calls
        return Overloaded, f"{address} has no room for the call, in its queue or its memory: {words}"
    if code is _Code.UNIMPLEMENTED:
        return ServerError, f"{address} does not offer this call; is it a TensorFlow Serving? {words}"
    if code is _Code.CANCELLED:  # by close(), mostly, and no fault of the server
        return ServerError, f"the call was cancelled: {words}"
    return ServerError, f"the server failed with {code.name}: {words}"
