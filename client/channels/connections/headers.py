"""What travels with each call beside the request: a bearer token, and the caller's metadata."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from ...errors import InvalidInput
from ...limits import brief
from ..steps import Metadata

Token: TypeAlias = "str | Callable[[], str]"
GivenMetadata: TypeAlias = "Mapping[str, str | bytes] | Iterable[tuple[str, str | bytes]]"


def sent_with_each(token: Token | None, metadata: Metadata) -> Callable[[], Metadata]:
    """Give a function of the metadata for a request that is sent now; a `token` function is asked each time."""
    if inspect.iscoroutinefunction(token):
        raise InvalidInput(
            "token= is a coroutine function: give a plain one, which may block; it runs in a thread"
        )
    if callable(token):
        return lambda: (("authorization", _bearer(token())), *metadata)
    fixed = metadata if token is None else (("authorization", _bearer(token)), *metadata)
    return lambda: fixed


def _bearer(token: object) -> str:
    if not isinstance(token, str):  # whose value no message says
        raise InvalidInput(f"the token is text, or a function that gives it, not {type(token).__name__}")
    if not token.strip():
        raise InvalidInput("the token is empty: leave token= out for none")
    if token.startswith("Bearer "):
        raise InvalidInput("the token begins with 'Bearer ', which is added here: give what follows it")
    if token != token.strip():
        raise InvalidInput(
            "the token cannot be sent in a header, a space or line end is around it: give token.strip()"
        )
    if not re.fullmatch(r"[\x21-\x7e]+", token):
        raise InvalidInput("the token holds characters that cannot be sent in a header")
    return f"Bearer {token}"


def check_metadata(given: GivenMetadata) -> Metadata:
    """Give pairs of key and value. Raises InvalidInput, which names the key and never a value."""
    try:
        pairs = tuple((key, value) for key, value in (given.items() if isinstance(given, Mapping) else given))
    except (TypeError, ValueError):
        raise InvalidInput("metadata= is a mapping, or pairs of key and value") from None
    for key, value in pairs:
        if not isinstance(key, str) or not re.fullmatch(r"[0-9a-z_.-]+", key) or key.startswith("grpc-"):
            raise InvalidInput(
                f"metadata= has the key {brief(key)}: keys are of a-z, 0-9, '_', '-' and '.', and grpc- is gRPC's own"
            )
        if key.endswith("-bin"):
            if not isinstance(value, bytes):
                raise InvalidInput(
                    f"metadata= has a value for {brief(key)} that is not bytes, as keys in -bin need"
                )
        elif not isinstance(value, str) or not re.fullmatch(r"[\x20-\x7e]*", value):
            raise InvalidInput(f"metadata= has a value for {brief(key)} that is not printable ASCII text")
    return pairs
