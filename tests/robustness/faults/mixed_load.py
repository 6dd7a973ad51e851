"""Mixed load on an embedded engine that serves a demo export: `python -m tests.robustness.faults.mixed_load --help`.

Good requests of every signature with images of random sizes, bad ones, callers that cancel, that hang up, and whose
deadline passes. It prints what came of them and what the engine's process held after the start and at the end.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import ctypes
import json
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import numpy as np

from tests.robustness.faults.mixed_requests import Request, requests
from tests.support.serving import UNLIMITED, Serving

CALLERS = 4
CALLS_PER_CONNECTION = 50
PATIENCE = 120.0
START = 0.1  # the part of the time after which the process should have what it needs: 3 of 30 minutes


@dataclass
class Outcomes:
    """What came of the calls.

    Attributes:
        codes: how many ended how, by kind of request.
        unexpected: calls that should have ended otherwise.
        latencies: of good calls, in seconds of the engine's processor time, in order of their end.
    """

    codes: dict[str, collections.Counter[str]] = field(
        default_factory=lambda: collections.defaultdict(collections.Counter)
    )
    unexpected: list[str] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)

    def note(self, request: Request, call: grpc.Future, seconds: float) -> None:
        code = call.code()
        self.codes[request.kind][code.name] += 1
        if code not in request.expected:
            self.unexpected.append(f"{request.kind}: {code.name}: {call.details()}")
        elif code is grpc.StatusCode.OK:
            fault = request.fault_of(call.result())
            if fault:
                self.unexpected.append(f"{request.kind}: {fault}")
            if request.is_work:
                self.latencies.append(seconds)


class Process:
    """What Linux knows of the engine's process."""

    def __init__(self, pid: int) -> None:
        self._folder = Path("/proc", str(pid))
        clock = ctypes.c_int()
        if ctypes.CDLL(None).clock_getcpuclockid(pid, ctypes.byref(clock)):
            raise ProcessLookupError(pid)
        self._clock = clock.value

    def cpu_seconds(self) -> float:
        """Processor time used so far: a clock that stands still while others use the machine."""
        return time.clock_gettime(self._clock)

    def held(self) -> dict[str, int]:
        """Resident memory and the part of it that is no file's, in MiB; threads; file descriptors."""
        status = dict(line.split(":", 1) for line in (self._folder / "status").read_text().splitlines())
        return {
            "resident_mib": int(status["VmRSS"].split()[0]) >> 10,
            "anonymous_mib": int(status["RssAnon"].split()[0]) >> 10,
            "threads": int(status["Threads"]),
            "descriptors": len(list((self._folder / "fd").iterdir())),
        }


def call_until(end: float, address: str, process: Process, seed: int, outcomes: Outcomes) -> None:
    """One caller: one request after the other, on a new connection now and then."""
    rng = random.Random(seed)
    drawn = requests(rng, np.random.default_rng(seed))
    while time.monotonic() < end:
        with contextlib.closing(grpc.insecure_channel(address, UNLIMITED)) as channel:
            for request in (next(drawn) for _ in range(rng.randrange(1, 2 * CALLS_PER_CONNECTION))):
                begun = process.cpu_seconds()
                call = channel.unary_unary(request.method).future(
                    request.message, timeout=request.deadline or PATIENCE
                )
                if request.gone_after is not None:
                    time.sleep(request.gone_after)
                    if request.hangs_up:
                        break
                    call.cancel()
                call.exception() if not call.cancelled() else None
                outcomes.note(request, call, process.cpu_seconds() - begun)
                if time.monotonic() > end:
                    break


def load(address: str, process: Process, seconds: float, seed: int) -> Outcomes:
    """All callers at once, for a time."""
    outcomes, end = Outcomes(), time.monotonic() + seconds
    threads = [
        threading.Thread(target=call_until, args=(end, address, process, seed + caller, outcomes))
        for caller in range(CALLERS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    time.sleep(2)  # what the last callers left running
    return outcomes


def p99(seconds: list[float]) -> float:
    return round(float(np.quantile(seconds, 0.99)), 3)


def measure(model: str, seconds: float) -> Iterator[dict[str, object]]:
    """What the process held when it was ready, after the start, and at the end with what came of the calls."""
    with contextlib.closing(Serving("--engine", "embedded", "--model", model, "--port", 0)) as server:
        process = Process(server.process.pid)
        yield {"ready": process.held()}
        load(server.address, process, START * seconds, seed=0)
        yield {"start": process.held()}
        outcomes = load(server.address, process, (1 - START) * seconds, seed=CALLERS)
        third = len(outcomes.latencies) // 3
        yield {
            "end": process.held(),
            "alive": server.process.poll() is None,
            "codes": outcomes.codes,
            "unexpected": outcomes.unexpected,
            "p99_first_third": p99(outcomes.latencies[:third]),
            "p99_last_third": p99(outcomes.latencies[-third:]),
            "median": round(float(np.median(outcomes.latencies)), 3),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description="Put an embedded engine under mixed load; print JSON.")
    parser.add_argument("--model", required=True, help="vgg_16=FOLDER")
    parser.add_argument("--seconds", type=float, default=1800.0)
    options = parser.parse_args()
    figures: dict[str, object] = {}
    for found in measure(options.model, options.seconds):
        figures |= found
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
