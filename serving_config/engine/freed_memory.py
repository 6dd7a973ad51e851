"""Memory that predictions have freed, given back to the operating system while the engine is idle.

malloc keeps what is freed for what is asked for next: hundreds of megabytes after large images, in the pools of as
many threads as ever ran. A busy engine is faster for it, an idle one has no use for it.
"""

import ctypes
import time
from collections.abc import Callable

_IDLE_SECONDS = 1.0  # long enough that calls one after the other do not pay for pages fetched anew


class FreedMemory:
    """Gives it back once for each time that the engine falls idle.

    Args:
        idle_since: tells when the last prediction ended, in seconds of time.monotonic(), or None while one runs.
    """

    def __init__(self, idle_since: Callable[[], float | None]) -> None:
        self._idle_since = idle_since
        self._given_back_since: float | None = None
        # malloc_trim(3) is glibc's; elsewhere free() does as it likes.
        self._trim = getattr(ctypes.CDLL(None), "malloc_trim", None)

    def give_back_when_idle(self) -> None:
        """To be called every now and then; does nothing in most calls."""
        since = self._idle_since()
        if since is None or since == self._given_back_since or time.monotonic() < since + _IDLE_SECONDS:
            return
        self._given_back_since = since
        if self._trim:
            self._trim(ctypes.c_size_t(0))
