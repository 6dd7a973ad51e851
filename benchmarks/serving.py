"""One model behind a server, a process of its own: tensorflow_model_server, or the embedded engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.side import ROOT, BenchmarkError

MODEL = "vgg_16"
_PROGRAM = "tensorflow_model_server"  # what `up` looks for on PATH


class Server(NamedTuple):
    """A server that answers.

    Attributes:
        address: host and port.
        seconds: from its start until it was ready.
        process: what started it; the server is this process or its child.
    """

    address: str
    seconds: float
    process: int

    def resident(self) -> int:
        """Bytes resident now, of the process and all below it; Linux's figures."""
        return sum(map(_resident, _with_children(self.process)))


@contextmanager
def serving(version: Path, binary: Path | None = None) -> Iterator[Server]:
    """Serve a version folder as `MODEL` by a tensorflow_model_server, or by the embedded engine where there is none.

    Raises:
        BenchmarkError: the server ended before it was ready.
    """
    with TemporaryDirectory(prefix="slimserve-served-") as name:
        folder = Path(name)
        (folder / MODEL).mkdir()
        (folder / MODEL / "1").symlink_to(version.resolve())
        environment = dict(os.environ)
        if binary:
            (folder / _PROGRAM).symlink_to(binary.resolve())
            environment["PATH"] = f"{folder}{os.pathsep}{environment['PATH']}"
        command = [sys.executable, "-m", "serving_config", "up", "--port", "0", "--json"]
        command += ["--engine", "binary" if binary else "embedded", "--model", f"{MODEL}={folder / MODEL}"]
        start = time.monotonic()
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            if not line:
                raise BenchmarkError(f"{binary or 'the embedded engine'} ended before it was ready")
            yield Server(json.loads(line)["address"], time.monotonic() - start, process.pid)
        finally:
            process.terminate()
            process.communicate()


def _with_children(process: int) -> list[int]:
    found = [process]
    for file in Path(f"/proc/{process}/task").glob("*/children"):
        for child in file.read_text().split():
            found += _with_children(int(child))
    return found


def _resident(process: int) -> int:
    status = Path(f"/proc/{process}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024
