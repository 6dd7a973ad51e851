"""`bench`: how long a server takes to answer, as a caller sees it."""

from __future__ import annotations

import argparse
import time

from ... import Client, InvalidInput, MessageTooLarge
from ...channels.replicas.statistics import quantiles
from .. import display, files
from ..each_image import AddParser, add_image_arguments, in_order, positive

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
        median, most, nearly_all = quantiles(list(bars.over(calls, options.requests, options.task)))
    elapsed = time.perf_counter() - begun
    result = {
        "task": options.task,
        "requests": options.requests,
        "concurrency": options.concurrency,
        "median_ms": 1000 * median,
        "p95_ms": 1000 * most,
        "p99_ms": 1000 * nearly_all,
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
