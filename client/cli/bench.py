"""`bench`: how long a server takes to answer, as a caller sees it."""

from __future__ import annotations

import argparse
import statistics
import time

from .. import Client, InvalidInput, MessageTooLarge
from . import display, files
from .each_image import AddParser, add_image_arguments, in_order, positive

_WARM_UP = 2


def add_parsers(add: AddParser) -> None:
    """Add the command."""
    parser = add("bench", "measure latency and throughput, encoding and decoding included")
    add_image_arguments(parser, concurrency=1)
    tasks = ["classify", "segment", "analyze"]
    parser.add_argument("--task", choices=tasks, default="classify", help="(%(default)s)")
    parser.add_argument(
        "--requests", type=positive, default=50, metavar="N", help="how many to send (%(default)s)"
    )
    parser.set_defaults(run=run)


def run(client: Client, options: argparse.Namespace) -> int:
    """Send the images' bytes from memory; print the quantiles of the latency in milliseconds."""
    if not options.json:
        display.require_rich()
    paths = files.find_images(options.images)[: options.requests]
    images = [path.read_bytes() for path in paths]
    call = getattr(client, options.task)

    def measure(index: int) -> float:
        turn = index % len(images)
        begun = time.perf_counter()
        try:
            call(images[turn])
        except (InvalidInput, MessageTooLarge) as error:
            raise type(error)(f"{paths[turn]}: {error}", code=error.code, details=error.details) from error
        return time.perf_counter() - begun

    for index in range(_WARM_UP):
        measure(index)
    begun = time.perf_counter()
    calls = in_order(measure, options.requests, options.concurrency, client)
    with display.progress(as_json=options.json) as bars:
        seconds = sorted(bars.over(calls, options.requests, options.task))
    elapsed = time.perf_counter() - begun
    result = {
        "task": options.task,
        "requests": options.requests,
        "concurrency": options.concurrency,
        "median_ms": 1000 * statistics.median(seconds),
        "p95_ms": 1000 * seconds[_rank(95, len(seconds))],
        "p99_ms": 1000 * seconds[_rank(99, len(seconds))],
        "requests_per_second": options.requests / elapsed,
    }
    if options.json:
        display.show_json(result)
    else:
        rows = (
            [key, f"{value:.1f}" if isinstance(value, float) else str(value)] for key, value in result.items()
        )
        display.show_table(["", ""], rows)
    return 0


def _rank(percent: int, count: int) -> int:
    """Index of a percentile in a sorted list (nearest rank)."""
    return -(-percent * count // 100) - 1
