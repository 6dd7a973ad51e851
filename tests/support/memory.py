"""How much memory this process has used, and uses."""

from __future__ import annotations

import re
from pathlib import Path


def peak() -> int:
    """Most bytes resident since the program began (VmHWM of proc_pid_status(5)).

    Not ru_maxrss, which a program takes over from the one that started it.
    """
    return _status("VmHWM")


def resident() -> int:
    """Bytes resident now."""
    return _status("VmRSS")


def _status(field: str) -> int:
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return 1024 * int(found[1])
