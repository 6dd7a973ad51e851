"""The network alone: our exports beside the usual one, same weights, same geometry, each in a TensorFlow session."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from benchmarks.rows import Figure, Row
from benchmarks.run import Run
from benchmarks.side import BenchmarkError, Side, interleave


class Export(NamedTuple):
    """An export that is measured: options beside `--geometry valid`, and targets by image side."""

    name: str
    options: tuple[str, ...]
    at_most: dict[int, float]


EXPORTS = (Export("portable float32", (), {}),)


def logits(run: Run) -> Iterator[Row]:
    """Signature `logits` at 224 and 512 pixels."""
    for export in EXPORTS:
        folder = run.exported(run.checkpoint_1000, "--geometry", "valid", *export.options)
        for side in (224, 512):
            run.say(f"{export.name}, {side} pixels")
            arguments = {"name": "logits", "output": "logits", "side": side}
            with (
                Side("benchmarks.models:signature", folder=str(folder), **arguments) as ours,
                Side("benchmarks.models:signature", folder=str(run.plain), **arguments) as plain,
            ):
                agreement = np.mean(ours.answer().argmax(-1) == plain.answer().argmax(-1))
                if agreement < 0.95:
                    raise BenchmarkError(
                        f"{export.name} agrees with the usual export in {agreement:.0%} only"
                    )
                taken = interleave({"ours": ours, "plain": plain}, run.rounds(15))
            yield Row(
                f"logits, {side}x{side}, {export.name}",
                Figure.of([step.seconds for step in taken["ours"]], "seconds"),
                "plain variables (tf-slim, SavedModelBuilder)",
                Figure.of([step.seconds for step in taken["plain"]], "seconds"),
                export.at_most.get(side),
                f"same best class in {agreement:.1%} of the cells",
            )
