"""Kill exports, or fill their disk, at points spread over the whole of an export: see `--help`.

After each point every version in the model's folder must be complete, byte for byte as that of an undisturbed
export, and another export must succeed and leave nothing but versions.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.robustness.faults.exports import Exports, FaultError, Point
from tests.support.small_network import SMALL, know_the_small_network


def spread(count: int, source: random.Random) -> Iterator[float]:
    """Yield parts of a whole from 0 to 1, each somewhere in its share."""
    for number in range(count):
        yield (number + source.random()) / count


def points_to_kill(exports: Exports, count: int, source: random.Random) -> Iterator[Point]:
    """Yield points spread over an export, by the clock and by its operations in turn.

    Of two points the later is an operation: the clock finds no draft where the machine has become slow.
    """
    for number, part in enumerate(spread(count, source)):
        if number % 2:
            yield Point(operation=1 + int(part * exports.operations))
        else:
            yield Point(seconds=part * exports.seconds)


def kill(exports: Exports, point: Point) -> str:
    """Kill an export at that point; return how far it had come."""
    before = exports.versions()
    pid = exports.start(point, lambda: os.kill(os.getpid(), signal.SIGKILL))
    if point.seconds is not None:
        time.sleep(point.seconds)
        os.kill(pid, signal.SIGKILL)
    code = exports.ended(pid)
    new = exports.check(before)
    if code not in (0, -signal.SIGKILL) or len(new) > 1 or (code == 0 and not new):
        raise FaultError(f"ended with {code}, {len(new)} new versions: {exports.said()}")
    how_far = "with a draft" if exports.others() else "without a draft"
    return "published" if new else how_far


def fill_the_disk(exports: Exports, left: int) -> str:
    """Leave an export `left` bytes of its disk once it begins to write; return what became of it."""
    before = exports.versions()
    ballast = exports.out.with_name("ballast")

    def fill() -> None:
        free = shutil.disk_usage(exports.out).free
        with ballast.open("wb") as stream:
            os.posix_fallocate(stream.fileno(), 0, max(1, free - left))

    code = exports.ended(exports.start(Point(operation=exports.first_write), fill))
    ballast.unlink(missing_ok=True)
    new, said, others = exports.check(before), exports.said(), exports.others()
    one_line = said.startswith("error: ") and said.count("\n") == 1
    if code != 1 or new or others or not (one_line and "No space left on device" in said):
        raise FaultError(f"ended with {code}, {len(new)} new versions, left {others}: {said}")
    return "refused"


def run_two_at_once(exports: Exports) -> str:
    """One export stops in its middle while another runs."""
    before = exports.versions()
    middle = Point(operation=exports.operations // 2)
    held = exports.start(middle, lambda: os.kill(os.getpid(), signal.SIGSTOP))
    os.waitpid(held, os.WUNTRACED)
    exports.succeeds(exports.start())
    os.kill(held, signal.SIGCONT)
    exports.succeeds(held)
    if others := exports.others():
        raise FaultError(f"exports that met left {others}")
    return f"{len(exports.check(before))} versions"


def race(exports: Exports, count: int) -> str:
    """So many exports start at the same time."""
    before = exports.versions()
    for pid in [exports.start() for _ in range(count)]:
        exports.succeeds(pid)
    return f"{len(exports.check(before))} versions"


def disturbances(exports: Exports, options: argparse.Namespace) -> Iterator[tuple[str, Callable[[], str]]]:
    """Yield what to do and under which heading its outcome is counted."""
    source = random.Random(options.seed)
    for point in points_to_kill(exports, options.kills, source):
        yield f"kill, {point}", partial(kill, exports, point)
    for part in spread(options.full, source):
        left = int(part * exports.size)
        yield f"full, {left} bytes left", partial(fill_the_disk, exports, left)
    if options.at_once:
        yield "two at once", partial(run_two_at_once, exports)
    if options.race:
        yield "race", partial(race, exports, options.race)


def main() -> int:
    """Print what became of the exports as JSON; end at the first fault with exit code 1."""
    options = _arguments()
    know_the_small_network()
    outcomes: Counter[str] = Counter()
    start = time.monotonic()
    try:
        # The simpler head is built sooner.
        arguments = ["--ckpt", options.ckpt, "--net", options.net, "--upsampling", "nearest"]
        exports = Exports(arguments, options.out)
        for number, (what, disturb) in enumerate(disturbances(exports, options), 1):
            print(what, file=sys.stderr)
            outcomes[f"{what.split(',')[0]}: {disturb()}"] += 1
            if options.restart_every and number % options.restart_every == 0:
                exports.restart()
    except FaultError as error:
        print(f"fault: {error}", file=sys.stderr)
        return 1
    figures = {
        "operations": exports.operations,
        "seconds": exports.seconds,
        "in_all": time.monotonic() - start,
    }
    print(json.dumps({"outcomes": outcomes, **figures}))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ckpt", required=True)
    parser.add_argument("--net", default=SMALL.name)
    parser.add_argument("--out", type=Path, required=True, help="the model's folder")
    parser.add_argument("--kills", type=int, default=0, metavar="N", help="points to kill an export at")
    parser.add_argument(
        "--full",
        type=int,
        default=0,
        metavar="N",
        help="points to fill the disk at, a small one, spread over what is written",
    )
    parser.add_argument(
        "--at-once", action="store_true", help="stop an export in its middle while another runs"
    )
    parser.add_argument("--race", type=int, default=0, metavar="N", help="exports to start at the same time")
    parser.add_argument(
        "--restart-every", type=int, default=1, metavar="N", help="points between whole exports"
    )
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
