"""The network alone: our exports beside the usual one and OpenVINO, same weights, same geometry, each in a process.

All of them answer in turn, round by round: what else the machine does falls on all alike.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.rows import Figure, Row
from benchmarks.run import Run
from benchmarks.side import BenchmarkError, Measurement, Side, interleave

_PLAIN = "plain variables (tf-slim, SavedModelBuilder)"
_OPENVINO = "OpenVINO, bfloat16 where the processor has it, 2 threads"
_SIDES = (224, 512)


class Export(NamedTuple):
    """An export that is measured.

    Attributes:
        name: in the table.
        options: beside `--geometry valid`.
        needs: what the processor must have.
        of_plain: targets by image side, against plain variables.
        of_openvino: target against OpenVINO; None where the two are not compared.
    """

    name: str
    options: tuple[str, ...]
    needs: str
    of_plain: dict[int, float]
    of_openvino: float | None = None


EXPORTS = (
    Export("portable float32", (), "nothing", {}),
    Export("portable bfloat16", ("--precision", "bfloat16"), "nothing", {}),
    Export("x86 float32", ("--target", "x86"), "x86-64", {224: 1 / 1.2, 512: 1 / 1.2}),
    Export(
        "x86 bfloat16",
        ("--target", "x86", "--precision", "bfloat16"),
        "AVX-512",
        {224: 1 / 2.2, 512: 1 / 2.5},
        1.15,
    ),
    Export("x86 int8", ("--precision", "int8"), "AVX2", {224: 1 / 4, 512: 1 / 4.3}, 0.7),
)
_X86 = tuple(export for export in EXPORTS if export.name.startswith("x86"))
_FLOAT32, _LEAN = EXPORTS[0], tuple(export for export in EXPORTS if export.of_openvino)


def logits(run: Run) -> Iterator[Row]:
    """Signature `logits` at 224 and 512 pixels."""
    folders = {export.name: _exported(run, export) for export in EXPORTS}
    for side in _SIDES:
        seconds = _seconds_of_all(run, folders, side)
        for export in EXPORTS:
            what = f"logits, {side}x{side}, {export.name}"
            ours = seconds.get(export.name)
            note = "" if ours else _needs(export)
            yield Row(what, ours, _PLAIN, seconds[_PLAIN], export.of_plain.get(side), note)
            if export.of_openvino:
                yield Row(what, ours, _OPENVINO, seconds.get(_OPENVINO), export.of_openvino, note)


def _seconds_of_all(run: Run, folders: Mapping[str, Path | None], side: int) -> dict[str, Figure]:
    """Seconds of everything that runs here, by name."""
    with ExitStack() as stack:
        sides = {}
        for name, folder in {_PLAIN: run.plain, **folders}.items():
            if folder:
                run.say(f"loading {name}, {side} pixels")
                sides[name] = stack.enter_context(_signature(folder, side))
        run.say(f"logits, {side} pixels")
        best = {name: worker.answer().argmax(-1) for name, worker in sides.items()}
        for export in EXPORTS:
            agreement = np.mean(best.get(export.name, best[_PLAIN]) == best[_PLAIN])
            # Of random weights the scores are close: 8 bits change a few of their ranks.
            if agreement < (0.5 if "int8" in export.name else 0.95):
                raise BenchmarkError(f"{export.name} agrees with the usual export in {agreement:.0%} only")
        if openvino := _openvino(run, side):
            sides[_OPENVINO] = stack.enter_context(openvino)
        taken = interleave(sides, run.rounds(15))
    return {name: _seconds(steps) for name, steps in taken.items()}


def _openvino(run: Run, side: int) -> Side | None:
    """None where it is not installed or does not run: the other rows do not need it."""
    if run.peers is None:
        return None
    run.say(f"loading OpenVINO, {side} pixels")
    folder = str(run.plain)
    try:
        return Side("benchmarks.openvino:logits", python=run.peers, folder=folder, side=side, threads=2)
    except BenchmarkError:
        return None


def load(run: Run) -> Iterator[Row]:
    """Load and answer once, at 224 pixels; resident memory then, a model in a process of its own."""
    folders = {_PLAIN: run.plain}
    for export in _X86:
        if folder := _exported(run, export):
            folders[export.name] = folder
    taken: dict[str, list[Measurement]] = {name: [] for name in folders}
    for _ in range(run.rounds(5)):
        for name, folder in folders.items():
            run.say(f"loading {name}")
            with Side("benchmarks.models:loading", folder=str(folder), side=224) as side:
                taken[name].append(side.step())
    seconds = {name: _seconds(steps) for name, steps in taken.items()}
    memory = {
        name: Figure.of([step.after - step.before for step in steps], "bytes")
        for name, steps in taken.items()
    }
    for export in _X86:
        name = export.name
        note = "" if name in folders else _needs(export)
        yield Row(
            f"load to first answer, {name}",
            seconds.get(name),
            _PLAIN,
            seconds[_PLAIN],
            1 + 3 / seconds[_PLAIN].median,
            note or "the target is 3 s more",
        )
        yield Row(
            f"resident memory after the first answer, {name}",
            memory.get(name),
            _PLAIN,
            memory[_PLAIN],
            1.1 if export in _LEAN else None,
            note or "above TensorFlow's own",
        )


def on_disk(run: Run) -> Iterator[Row]:
    """A version folder's size."""
    portable = _exported(run, _FLOAT32)
    assert portable
    float32 = _bytes(portable)
    for export, at_most in zip(_LEAN, (None, 0.28), strict=True):
        folder = _exported(run, export)
        ours, note = (_bytes(folder), "") if folder else (None, _needs(export))
        yield Row(f"on disk, {export.name}", ours, _FLOAT32.name, float32, at_most, note)


def _exported(run: Run, export: Export) -> Path | None:
    """The version folder; None where this machine can't run what was asked for, and portable was exported."""
    options = ["--geometry", "valid", *export.options]
    if "int8" in export.options:
        options += ["--calibrate", str(run.photos), "--accept-agreement", "0"]
    folder = run.exported(run.checkpoint_1000, *options)
    target = json.loads((folder / "assets.extra" / "export.json").read_text())["options"]["target"]
    return (
        folder
        if target == ("x86" if "int8" in export.options or "x86" in export.options else "portable")
        else None
    )


def _needs(export: Export) -> str:
    return f"not on this processor: needs {export.needs}"


def _signature(folder: Path, side: int) -> Side:
    return Side("benchmarks.models:signature", folder=str(folder), name="logits", output="logits", side=side)


def _seconds(steps: list[Measurement]) -> Figure:
    return Figure.of([step.seconds for step in steps], "seconds")


def _bytes(folder: Path) -> Figure:
    return Figure.of([sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())], "bytes")
