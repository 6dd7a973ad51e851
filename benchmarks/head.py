"""The full-size segmentation head: from 32x32 cells of 1000 classes to a label map of 1024x1024 pixels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.rows import Figure, Row
from benchmarks.run import Run
from benchmarks.side import BenchmarkError, Side, interleave

SIDE, CLASSES = 1024, 1000
_ALLOWED_TIME, _ALLOWED_BYTES = 0.15, 300e6


def against_dense(run: Run) -> Iterator[Row]:
    """Our head beside `tf.image.resize` and argmax, which give the same label map."""
    for kind in ("natural",) if run.quick else ("natural", "undecided"):
        run.say(f"head, {kind} score maps")
        arguments = {"kind": kind, "side": SIDE, "classes": CLASSES}
        with (
            Side("benchmarks.models:head", method="ours", **arguments) as ours,
            Side("benchmarks.models:head", method="dense", **arguments) as dense,
        ):
            if not np.array_equal(ours.answer(), dense.answer()):
                raise BenchmarkError(f"the label maps of {kind} score maps differ")
            sides = {"ours": ours, "dense": dense}
            taken = interleave(sides, run.rounds(9), warmup=0)  # the answers were the warm-up
        what = f"head, {SIDE}x{SIDE}, {CLASSES} classes, {kind} score maps"
        seconds = {
            name: Figure.of([step.seconds for step in steps], "seconds") for name, steps in taken.items()
        }
        peaks = {
            name: Figure.of([step.peak - sides[name].setup.after for step in steps], "bytes")
            for name, steps in taken.items()
        }
        yield Row(f"{what}: time", seconds["ours"], "tf.image.resize and argmax", seconds["dense"])
        yield Row(f"{what}: peak memory", peaks["ours"], "tf.image.resize and argmax", peaks["dense"])


def against_network(run: Run) -> Iterator[Row]:
    """What our head adds to the network that makes its score maps."""
    folder = str(run.exported(run.checkpoint_1000))
    run.say("head and network, 1024x1024 pixels")
    network = {"folder": folder, "name": "logits", "output": "logits", "side": SIDE}
    whole = {"folder": folder, "name": "segment", "output": "label_map", "side": SIDE}
    with (
        Side("benchmarks.models:signature", **network) as logits,
        Side("benchmarks.models:signature", **whole) as segment,
        Side("benchmarks.models:head", method="ours", kind="natural", side=SIDE, classes=CLASSES) as head,
    ):
        taken = interleave({"network": logits, "whole": segment, "head": head}, run.rounds(7))
    yield Row(
        f"head, {SIDE}x{SIDE}, {CLASSES} classes, natural score maps: time",
        Figure.of([step.seconds for step in taken["head"]], "seconds"),
        "the network (logits, float32)",
        Figure.of([step.seconds for step in taken["network"]], "seconds"),
        _ALLOWED_TIME,
    )
    pairs = zip(taken["whole"], taken["network"], strict=True)
    yield Row(
        "segment beyond logits: peak memory of the process",
        Figure.of([whole.peak - network.peak for whole, network in pairs], "bytes"),
        "the memory allowed to the head",
        Figure.of([_ALLOWED_BYTES], "bytes"),
        1.0,
    )
