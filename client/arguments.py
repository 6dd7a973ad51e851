"""Arguments that gRPC and protobuf would misunderstand, or refuse in words that do not name them."""

from __future__ import annotations

from .errors import InvalidInput

_LONGEST_TIMEOUT = (
    1e9  # seconds, 31 years; gRPC's clock overflows some 9e9 from now, and such a call fails at once
)


def check_timeout(timeout: float) -> float:
    """Give the seconds back. Raises InvalidInput where no call could wait for that long."""
    if not 0 < timeout <= _LONGEST_TIMEOUT:  # nor is NaN
        raise InvalidInput(
            f"a timeout is a number of seconds above 0, {_LONGEST_TIMEOUT:g} at most, not {timeout!r}"
        )
    return timeout


def check_text(what: str, text: str) -> None:
    """Raise InvalidInput, which names the argument, for text that has no UTF-8 form: lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidInput(f"{what} {text!r} is not text: it holds halves of characters") from None
