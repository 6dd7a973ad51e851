"""The network alone: our exports beside the usual one and OpenVINO, same weights, same geometry, each in a session."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.rows import Figure, Row
from benchmarks.run import Run
from benchmarks.side import BenchmarkError, Measurement, Side, interleave

_PLAIN = "plain variables (tf-slim, SavedModelBuilder)"
_SIDES = (224, 512)


class Export(NamedTuple):
    """An export that is measured.

    Attributes:
        name: in the table.
        options: beside `--geometry valid`.
        of_plain: targets by image side, against plain variables.
        of_openvino: target against OpenVINO in bfloat16.
    """

    name: str
    options: tuple[str, ...]
    of_plain: dict[int, float]
    of_openvino: float | None = None


EXPORTS = (
    Export("portable float32", (), {}),
    Export("portable bfloat16", ("--precision", "bfloat16"), {}),
    Export("x86 float32", ("--target", "x86"), {224: 1 / 1.2, 512: 1 / 1.2}),
    Export(
        "x86 bfloat16", ("--target", "x86", "--precision", "bfloat16"), {224: 1 / 2.2, 512: 1 / 2.5}, 1.15
    ),
    Export("x86 int8", ("--precision", "int8"), {224: 1 / 4, 512: 1 / 4.3}, 0.7),
)
_X86 = tuple(export for export in EXPORTS if export.name.startswith("x86"))
_FLOAT32, _LEAN = EXPORTS[0], tuple(export for export in _X86 if export.name != "x86 float32")


def logits(run: Run) -> Iterator[Row]:
    """Signature `logits` at 224 and 512 pixels."""
    for export in EXPORTS:
        folder, obstacle = _exported(run, export)
        for side in _SIDES:
            what = f"logits, {side}x{side}, {export.name}"
            if obstacle:
                yield Row(what, None, _PLAIN, None, export.of_plain.get(side), obstacle)
                continue
            run.say(f"{export.name}, {side} pixels")
            with _signature(folder, side) as ours, _signature(run.plain, side) as plain:
                agreement = np.mean(ours.answer().argmax(-1) == plain.answer().argmax(-1))
                # Of random weights the scores are close: 8 bits change a few of their ranks.
                if agreement < (0.5 if "int8" in export.name else 0.95):
                    raise BenchmarkError(
                        f"{export.name} agrees with the usual export in {agreement:.0%} only"
                    )
                taken = interleave({"ours": ours, "plain": plain}, run.rounds(15))
            yield Row(
                what,
                _seconds(taken["ours"]),
                _PLAIN,
                _seconds(taken["plain"]),
                export.of_plain.get(side),
                f"same best class in {agreement:.1%} of the cells",
            )


def openvino(run: Run) -> Iterator[Row]:
    """The same beside OpenVINO, in bfloat16 where the processor has it."""
    against = "OpenVINO, bfloat16 allowed, 2 threads"
    for export in _LEAN:
        folder, obstacle = _exported(run, export)
        for side in _SIDES:
            what = f"logits, {side}x{side}, {export.name}"
            if obstacle or run.peers is None:
                yield Row(what, None, against, None, export.of_openvino, obstacle or "")
                continue
            run.say(f"{export.name} and OpenVINO, {side} pixels")
            peer = Side(
                "benchmarks.openvino:logits", python=run.peers, folder=str(run.plain), side=side, threads=2
            )
            with _signature(folder, side) as ours, peer as theirs:
                taken = interleave({"ours": ours, "theirs": theirs}, run.rounds(15))
            yield Row(what, _seconds(taken["ours"]), against, _seconds(taken["theirs"]), export.of_openvino)


def load(run: Run) -> Iterator[Row]:
    """Load and answer once, at 224 pixels; resident memory then, a model in a process of its own."""
    for export in _X86:
        folder, obstacle = _exported(run, export)
        if obstacle:
            yield Row(f"load to first answer, {export.name}", None, _PLAIN, None, None, obstacle)
            continue
        run.say(f"loading {export.name}")
        taken: dict[Path, list[Measurement]] = {folder: [], run.plain: []}
        for _ in range(run.rounds(7)):
            for model, steps in taken.items():
                with Side("benchmarks.models:loading", folder=str(model), side=224) as side:
                    steps.append(side.step())
        seconds, memory = (
            {model: _seconds(steps) for model, steps in taken.items()},
            {
                model: Figure.of([step.after - step.before for step in steps], "bytes")
                for model, steps in taken.items()
            },
        )
        most = 1 + 3 / seconds[run.plain].median
        yield Row(
            f"load to first answer, {export.name}",
            seconds[folder],
            _PLAIN,
            seconds[run.plain],
            most,
            "the target is 3 s more",
        )
        yield Row(
            f"resident memory after it, {export.name}",
            memory[folder],
            _PLAIN,
            memory[run.plain],
            1.1 if export in _LEAN else None,
            "above TensorFlow's own",
        )


def on_disk(run: Run) -> Iterator[Row]:
    """A version folder's size."""
    float32 = _bytes(_exported(run, _FLOAT32)[0])
    for export, at_most in zip(_LEAN, (None, 0.28), strict=True):
        folder, obstacle = _exported(run, export)
        ours = None if obstacle else _bytes(folder)
        yield Row(f"on disk, {export.name}", ours, _FLOAT32.name, float32, at_most, obstacle or "")


def _exported(run: Run, export: Export) -> tuple[Path, str | None]:
    """The version folder, and what keeps this machine from running what was asked for."""
    options = ["--geometry", "valid", *export.options]
    if "int8" in export.options:
        options += ["--calibrate", str(run.photos), "--accept-agreement", "0"]
    folder = run.exported(run.checkpoint_1000, *options)
    warning: str | None = json.loads((folder / "assets.extra" / "export.json").read_text())["warning"]
    return folder, f"cannot be run here: {warning.partition(':')[0]}" if warning else None


def _signature(folder: Path, side: int) -> Side:
    return Side("benchmarks.models:signature", folder=str(folder), name="logits", output="logits", side=side)


def _seconds(steps: list[Measurement]) -> Figure:
    return Figure.of([step.seconds for step in steps], "seconds")


def _bytes(folder: Path) -> Figure:
    return Figure.of([sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())], "bytes")
