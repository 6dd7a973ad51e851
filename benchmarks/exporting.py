"""The exporter beside the least that it must do: copy the checkpoint to the disk."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Iterator

from benchmarks.rows import Figure, Row
from benchmarks.run import Run
from benchmarks.side import Measurement, Side


def export(run: Run) -> Iterator[Row]:
    """Seconds after imports, without and with the comparison with tf-slim, and memory; in a new process each time."""
    checkpoint = run.demo_checkpoint
    size = checkpoint.stat().st_size
    out, copy = run.folder / "exports", run.folder / "copy.ckpt"
    taken: dict[str, list[Measurement]] = {"copy": [], "without": [], "with": []}
    idle: list[int] = []
    for _ in range(run.rounds(3)):
        run.say("copy the checkpoint")
        copying = {"source": str(checkpoint), "target": str(copy)}
        with Side("benchmarks.models:copy_with_fsync", **copying) as side:
            taken["copy"].append(side.step())
        copy.unlink()
        for name in ("without", "with"):
            run.say(f"export {name} the parity check")
            arguments = {"checkpoint": str(checkpoint), "out": str(out), "parity": name == "with"}
            with Side("benchmarks.models:export", **arguments) as side:
                taken[name].append(side.step())
                idle.append(side.setup.after)
            shutil.rmtree(out)
    seconds = {name: Figure.of([step.seconds for step in steps], "seconds") for name, steps in taken.items()}
    copied = "copying the checkpoint, with fsync"
    yield Row("export, without parity check: time", seconds["without"], copied, seconds["copy"], 5.0)
    yield Row("export: time", seconds["with"], copied, seconds["copy"], 15.0, _parts(taken["with"]))
    peaks = [step.peak - step.before for step in taken["with"]]
    note = f"an idle TensorFlow is {Figure.of(idle, 'bytes')}"
    yield Row(
        "export: peak memory above an idle TensorFlow",
        Figure.of(peaks, "bytes"),
        "the checkpoint's size",
        Figure.of([size], "bytes"),
        2.2,
        note,
    )


def _parts(steps: list[Measurement]) -> str:
    """Median seconds of each part of an export."""
    parts = {name: statistics.median(step.detail[name] for step in steps) for name in steps[0].detail}
    return "seconds: " + ", ".join(f"{name} {median:.2f}" for name, median in parts.items())
