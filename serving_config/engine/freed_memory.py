"""Memory that predictions have freed, given back to the operating system: all while the engine is idle.

malloc keeps what is freed for what is asked for next: hundreds of megabytes after large images. A busy engine is faster
for it, as each page that is fetched anew takes time; an idle one has no use for it. It can give back the more, the
fewer pools the freed blocks are scattered over: by default threads share 8 for each core. TensorFlow takes its memory
from malloc because `tensorflow_import` says so.
"""

import ctypes
import mmap
import time
from collections.abc import Callable
from pathlib import Path

# Long enough that calls one after the other do not pay for pages fetched anew; and once more, as answers that go out
# on a slow connection are freed after their prediction has ended.
_IDLE_SECONDS = (1.0, 10.0)
_BUSY_SECONDS = 1.0
_GROWTH = 2**27  # bytes, between images of many sizes: no free block suits the next one
# Of mallopt(3): pools; no block is a mapping of its own, whose pages would be fetched anew in every call; what is freed
# at the end of the heap stays until the engine is idle.
_MALLOC_OPTIONS = {"M_ARENA_MAX": (-8, 2), "M_MMAP_MAX": (-4, 0), "M_TRIM_THRESHOLD": (-1, 2**31 - 1)}


class FreedMemory:
    """Gives it back twice for each time that the engine falls idle, and where a busy one has grown much since.

    To be made before the threads that allocate.

    Args:
        idle_since: tells when the last prediction ended, in seconds of time.monotonic(), or None while one runs.
    """

    def __init__(self, idle_since: Callable[[], float | None]) -> None:
        self._idle_since = idle_since
        self._since: float | None = None
        self._given_back = 0  # times since then
        self._looked, self._held = 0.0, _resident()
        # mallopt(3) and malloc_trim(3) as glibc has them; elsewhere free() does as it likes.
        try:
            library = ctypes.CDLL(None)
            self._trim: Callable[[ctypes.c_size_t], int] = library.malloc_trim
            for option, value in _MALLOC_OPTIONS.values():
                library.mallopt(option, value)
        except (AttributeError, OSError, TypeError):
            self._trim = lambda _: 0

    def give_back(self) -> None:
        """To be called every now and then; does nothing in most calls."""
        since, now = self._idle_since(), time.monotonic()
        if since != self._since:
            self._since, self._given_back = since, 0
        if since is None:
            if now >= self._looked + _BUSY_SECONDS:
                self._looked = now
                if _resident() > self._held + _GROWTH:
                    self._trim_now()
        elif self._given_back < len(_IDLE_SECONDS) and now >= since + _IDLE_SECONDS[self._given_back]:
            self._given_back += 1
            self._trim_now()

    def _trim_now(self) -> None:
        self._trim(ctypes.c_size_t(0))
        self._held = _resident()


def _resident() -> int:
    """Bytes of this process in memory; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE
    except OSError:
        return 0
