"""The embedded engine, end to end with our client, beside the same session without a server."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.rows import Figure, Row
from benchmarks.run import Run
from benchmarks.side import ROOT, BenchmarkError, Side, interleave

_SIDE = 512


def end_to_end(run: Run) -> Iterator[Row]:
    """`segment` of 512x512 pixels."""
    version = run.exported(run.demo_checkpoint)
    run.say("embedded engine, 512x512 pixels")
    arguments = {"folder": str(version), "name": "segment", "output": "label_map", "side": _SIDE}
    with (
        _serving(version.parent) as address,
        Side("benchmarks.models:embedded_engine", address=address, side=_SIDE) as served,
        Side("benchmarks.models:signature", **arguments) as session,
    ):
        if not np.array_equal(served.answer(), session.answer()):
            raise BenchmarkError("the embedded engine's label map is not the session's")
        taken = interleave({"served": served, "session": session}, run.rounds(15))
    yield Row(
        f"segment, {_SIDE}x{_SIDE}, our client and the embedded engine",
        Figure.of([step.seconds for step in taken["served"]], "seconds"),
        "the same session in process",
        Figure.of([step.seconds for step in taken["session"]], "seconds"),
        1.05,
    )


@contextmanager
def _serving(model: Path) -> Iterator[str]:
    """Address of an embedded engine, a process of its own, that serves `model`."""
    command = [sys.executable, "-m", "serving_config", "up", "--engine", "embedded", "--port", "0", "--json"]
    process = subprocess.Popen(
        [*command, "--model", f"vgg_16={model}"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise BenchmarkError("the embedded engine ended before it was ready")
        yield json.loads(line)["address"]
    finally:
        process.terminate()
        process.communicate()
