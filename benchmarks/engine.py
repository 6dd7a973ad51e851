"""The embedded engine, end to end with our client, beside the same session without a server."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.rows import Figure, Row
from benchmarks.run import Run
from benchmarks.serving import serving
from benchmarks.side import BenchmarkError, Side, interleave

_SIDE = 512


def end_to_end(run: Run) -> Iterator[Row]:
    """`segment` of 512x512 pixels."""
    version = run.exported(run.demo_checkpoint)
    run.say("embedded engine, 512x512 pixels")
    arguments = {"folder": str(version), "name": "segment", "output": "label_map", "side": _SIDE}
    with (
        serving(version) as server,
        Side("benchmarks.models:embedded_engine", address=server.address, side=_SIDE) as served,
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
