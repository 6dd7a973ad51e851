"""The process in which one side of a comparison runs: python -m benchmarks.worker MODULE:FACTORY ARGUMENTS.

The factory is called with the arguments (a JSON object) and returns the step that is measured. Each line on stdin,
`step` or `save FILE`, then runs it, a short one repeatedly; what a call took is one JSON object on stdout. Imports
little, as it also measures imports and runs in the peers' environment. Memory figures are Linux's.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

_LEAST_SECONDS = (
    0.02  # a call much shorter than this is repeated: alone, it would measure how cold the caches are
)


def _memory(field: str) -> int:
    """Bytes of this process: VmRSS is resident now, VmHWM the most since the last reset (proc_pid_status(5))."""
    with open("/proc/self/status") as status:
        (line,) = (line for line in status if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024


def _reset_peak() -> None:
    """Let VmHWM begin again at what is resident now (proc_pid_clear_refs(5))."""
    with open("/proc/self/clear_refs", "w") as clear:
        clear.write("5")


def _measured(act: Callable[[], Any], least: float) -> tuple[dict[str, Any], Any]:
    """Call `act` until `least` seconds have passed: seconds of one call, and the last one's result."""
    _reset_peak()
    before = _memory("VmRSS")
    calls, result, seconds = 0, None, 0.0
    start = time.perf_counter()
    while calls == 0 or seconds < least:
        result = None  # a caller would not keep the last answer while it reads the next
        result = act()
        calls += 1
        seconds = time.perf_counter() - start
    memory = {"before": before, "after": _memory("VmRSS"), "peak": _memory("VmHWM")}
    detail = result if isinstance(result, dict) else {}
    return {"seconds": seconds / calls, **memory, "detail": detail}, result


def main() -> None:
    """Serve steps until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints must not mix with the answers
    module, _, factory = sys.argv[1].partition(":")
    arguments = json.loads(sys.argv[2])
    measurement, step = _measured(
        lambda: getattr(importlib.import_module(module), factory)(**arguments), least=0.0
    )
    print(json.dumps(measurement), file=answers)
    for line in sys.stdin:
        command, _, file = line.strip().partition(" ")
        measurement, result = _measured(step, least=_LEAST_SECONDS)
        if command == "save":
            import numpy as np

            np.save(file, result)
        print(json.dumps(measurement), file=answers)
        del result


if __name__ == "__main__":
    main()
