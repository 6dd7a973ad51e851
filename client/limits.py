"""What gRPC and protobuf cannot carry, or refuse in words that do not name the argument."""

from __future__ import annotations

import numbers
import os

from .errors import InvalidInput, MessageTooLarge

LARGEST_MESSAGE = (1 << 31) - 1  # bytes; protobuf's limit, and that of gRPC's length checks
# Seconds, 31 years: gRPC's clock overflows some 9e9 from now, and such a call fails at once.
_LONGEST_TIMEOUT = 1e9
_BRIEF, _BRIEF_PATH = 80, 300  # characters of what was given, in a message


def brief(value: object) -> str:
    """Give what was given as a message shows it: cut, for it may be a file's bytes."""
    try:
        text = repr(value)
    except Exception:  # of the application's own types, or of a number of more digits than Python writes
        text = f"a {type(value).__name__}"
    return text if len(text) <= _BRIEF else text[:_BRIEF] + "..."


def brief_path(path: str | os.PathLike[str]) -> str:
    """Give a path as a message shows it: its end, where it is longer than one can read."""
    text = os.fsdecode(path)
    return text if len(text) <= _BRIEF_PATH else "..." + text[-_BRIEF_PATH:]


def counted(count: int, noun: str) -> str:
    """Give so many of a thing in words: "1 image", "2 images"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def check_size(nbytes: int) -> None:
    """Raise MessageTooLarge when a request holds more than the protocol can carry."""
    if nbytes > LARGEST_MESSAGE:
        raise MessageTooLarge(
            f"the request holds {nbytes / 2**30:.1f} GiB and a message at most 2 GiB: send fewer or smaller images"
        )


def check_timeout(timeout: float) -> float:
    """Give the seconds back. Raises InvalidInput where no call could wait for that long."""
    if not is_number(timeout) or not 0 < timeout <= _LONGEST_TIMEOUT:  # nor is NaN
        raise InvalidInput(
            f"a timeout is a number of seconds above 0, {_LONGEST_TIMEOUT:g} at most, not {brief(timeout)}"
        )
    return float(timeout)  # numpy's float32 would swallow the clock that it is added to


def is_number(value: object) -> bool:
    """Tell a real number, numpy's included, from a truth value and everything else."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def check_whole(what: str, number: int, least: int) -> int:
    """Give a whole number back, numpy's as Python's. Raises InvalidInput, which names the argument."""
    if isinstance(number, bool) or not isinstance(number, numbers.Integral) or number < least:
        raise InvalidInput(f"{what} is a whole number, at least {least}, not {brief(number)}")
    return int(number)


def check_text(what: str, text: str) -> None:
    """Raise InvalidInput, which names the argument, for what is no text, or has no UTF-8 form: lone surrogates."""
    if not isinstance(text, str):
        raise InvalidInput(f"{what} is text, not {brief(text)}")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidInput(f"{what} {brief(text)} is not text: it holds halves of characters") from None
