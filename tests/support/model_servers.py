"""Servers of `slimserve.testing` in a process of their own: `python -m tests.support.model_servers 3`."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator

from slimserve.testing import Model, Server

from tests.support.sources import ROOT


@contextlib.contextmanager
def servers(count: int) -> Iterator[list[str]]:
    """Run so many; give their addresses."""
    command = [sys.executable, "-m", "tests.support.model_servers", str(count)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield [process.stdout.readline().strip() for _ in range(count)]
    finally:
        process.communicate()  # which ends its input, and with it the process


if __name__ == "__main__":
    with contextlib.ExitStack() as stack:
        for _ in range(int(sys.argv[1])):
            print(stack.enter_context(Server(Model())).address, flush=True)
        sys.stdin.read()
