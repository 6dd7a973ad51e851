"""What runs in a worker on the callers' side of a server: factories for `Side`, whose steps give seconds by part."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.models import image

Step = Callable[[], dict[str, float]]


def _client(address: str) -> Callable[[np.ndarray], np.ndarray]:
    """Ask for the `logits` of images."""
    from slimserve import Client

    client = Client(address, model="vgg_16", timeout=600)
    client.wait_until_ready()
    return lambda images: client.predict({"images": images}, signature="logits")["logits"]


def crowd(address: str, side: int, batch: int, callers: int, seconds: float) -> Step:
    """So many callers, each of whom asks again as soon as it is answered, for some seconds.

    The step gives `p50` and `p99` of a call, and `share`, the seconds that went by for each call of all callers.
    """
    ask, images = _client(address), image(side, batch)

    def step() -> dict[str, float]:
        taken: list[float] = []
        start = time.perf_counter()

        def call() -> None:
            while True:
                before = time.perf_counter()
                ask(images)
                now = time.perf_counter()
                taken.append(now - before)
                if now - start >= seconds:
                    return

        threads = [threading.Thread(target=call) for _ in range(callers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        whole = time.perf_counter() - start
        p50, p99 = np.percentile(taken, [50, 99])
        return {"p50": float(p50), "p99": float(p99), "share": whole / len(taken)}

    return step


def sizes(address: str, sides: Sequence[int], times: int) -> Step:
    """One image of each size so many times: `ordered`, size after size, and `mixed`, the same calls in random order."""
    ask = _client(address)
    images = {side: image(side) for side in sides}
    ordered = [side for side in sides for _ in range(times)]
    shuffle = random.Random(0).shuffle

    def taken(order: Sequence[int]) -> float:
        start = time.perf_counter()
        for side in order:
            ask(images[side])
        return time.perf_counter() - start

    def step() -> dict[str, float]:
        mixed = list(ordered)
        shuffle(mixed)
        return {"ordered": taken(ordered), "mixed": taken(mixed)}

    return step
