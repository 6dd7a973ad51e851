"""Several requests at a time, from threads that share the client."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from .. import Client

T = TypeVar("T")


def positive(text: str) -> int:
    """Parse a whole number above zero."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def in_order(work: Callable[[int], T], count: int, concurrency: int, client: Client) -> Iterator[T]:
    """Do the work for 0, 1, ... `count` - 1 in threads; give the results in order.

    Whatever ends it early, Ctrl-C too, closes the client, so that the calls under way end at once.
    """
    with ThreadPoolExecutor(concurrency) as pool:
        try:
            yield from pool.map(work, range(count))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            client.close()
            raise
