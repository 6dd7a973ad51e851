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

PLAIN = "plain variables (tf-slim, SavedModelBuilder)"
_CASES = {"224x224": (224, 1), "512x512": (512, 1), "8 images of 224x224": (224, 8)}
_OPENVINO = {
    "OpenVINO, float32, 2 threads": "f32",
    "OpenVINO, bfloat16 where the processor has it, 2 threads": "bf16",
    "OpenVINO, int8 by NNCF, 2 threads": "int8",
}
_OPENVINO_FLOAT32, _OPENVINO_BFLOAT16, _OPENVINO_INT8 = _OPENVINO


class Export(NamedTuple):
    """An export that is measured.

    Attributes:
        name: in the table.
        options: beside `--geometry valid`.
        needs: what the processor must have.
        of_plain: targets against plain variables, by case.
        peer: of the same precision; None where there is none.
        of_peer: targets against it, by case.
    """

    name: str
    options: tuple[str, ...]
    needs: str
    of_plain: dict[str, float]
    peer: str | None = None
    of_peer: dict[str, float] = {}  # noqa: RUF012 a NamedTuple's default, never changed


def _targets(*most: float) -> dict[str, float]:
    return dict(zip(_CASES, most, strict=False))


EXPORTS = (
    Export("portable float32", (), "nothing", _targets(0.9, 1.0, 0.85)),
    Export("portable bfloat16", ("--precision", "bfloat16"), "nothing", {}),
    Export(
        "x86 float32",
        ("--target", "x86"),
        "x86-64",
        _targets(1 / 1.2, 1 / 1.2),
        _OPENVINO_FLOAT32,
        _targets(1.05, 1.02, 1.0),
    ),
    Export(
        "x86 bfloat16",
        ("--target", "x86", "--precision", "bfloat16"),
        "AVX-512",
        _targets(1 / 2.2, 1 / 2.5),
        _OPENVINO_BFLOAT16,
        _targets(1.05, 1.03, 1.0),
    ),
    Export(
        "x86 int8",
        ("--precision", "int8"),
        "AVX2",
        _targets(1 / 4, 1 / 4.3),
        _OPENVINO_INT8,
        _targets(1.05, 1.05, 1.05),
    ),
)
_X86 = tuple(export for export in EXPORTS if export.name.startswith("x86"))
_FLOAT32, _LEAN = EXPORTS[0], EXPORTS[3:]


def logits(run: Run) -> Iterator[Row]:
    """Signature `logits` of one image and of eight."""
    folders = {export.name: exported(run, export) for export in EXPORTS}
    for case in _CASES:
        seconds, agreement = _seconds_of_all(run, folders, case)
        for export in EXPORTS:
            what = f"logits, {case}, {export.name}"
            ours = seconds.get(export.name)
            note = "" if ours else needs(export)
            yield Row(what, ours, PLAIN, seconds[PLAIN], export.of_plain.get(case), note)
            if export.peer:
                beside = [name for name in (export.name, export.peer) if name in agreement]
                note = note or "; ".join(f"{name}: {agreement[name]}" for name in beside)
                yield Row(what, ours, export.peer, seconds.get(export.peer), export.of_peer[case], note)


def _seconds_of_all(
    run: Run, folders: Mapping[str, Path | None], case: str
) -> tuple[dict[str, Figure], dict[str, str]]:
    """Seconds of everything that runs here, by name; of what is in 8 bits, how it agrees with plain variables."""
    with ExitStack() as stack:
        sides = {}
        for name, folder in {PLAIN: run.plain, **folders}.items():
            if folder:
                run.say(f"loading {name}, {case}")
                sides[name] = stack.enter_context(_signature(folder, case))
        for name, precision in _OPENVINO.items():
            if openvino := _openvino(run, case, name, precision):
                sides[name] = stack.enter_context(openvino)
        run.say(f"logits, {case}")
        exact = sides[PLAIN].answer()
        agreement = {}
        for name, side in sides.items():
            found = side.answer()
            same = float(np.mean(found.argmax(-1) == exact.argmax(-1)))
            off = float(np.linalg.norm(found - exact) / np.linalg.norm(exact))
            # Of random weights the scores are close: 8 bits change a few of their ranks.
            if name in folders and same < (0.5 if "int8" in name else 0.95):
                raise BenchmarkError(f"{name} agrees with the usual export in {same:.0%} only")
            if "int8" in name:
                agreement[name] = (
                    f"same best class in {same:.0%} of {exact[..., 0].size} cells, logits {off:.1%} off"
                )
        taken = interleave(sides, run.rounds(15))
    return {name: _seconds(steps) for name, steps in taken.items()}, agreement


def _openvino(run: Run, case: str, name: str, precision: str) -> Side | None:
    """None where it is not installed or does not run: the other rows do not need it."""
    if run.peers is None:
        return None
    run.say(f"loading {name}, {case}")
    side, batch = _CASES[case]
    arguments = {"folder": str(run.plain), "side": side, "batch": batch, "precision": precision}
    try:
        return Side(
            "benchmarks.openvino:logits", python=run.peers, threads=2, photos=str(run.photos), **arguments
        )
    except BenchmarkError as error:
        run.say(f"{name} does not run here: {error}")
        return None


def load(run: Run) -> Iterator[Row]:
    """Load and answer once, at 224 pixels; resident memory then, a model in a process of its own."""
    folders = {PLAIN: run.plain}
    for export in _X86:
        if folder := exported(run, export):
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
        note = "" if name in folders else needs(export)
        yield Row(
            f"load to first answer, {name}",
            seconds.get(name),
            PLAIN,
            seconds[PLAIN],
            1 + 3 / seconds[PLAIN].median,
            note or "the target is 3 s more",
        )
        yield Row(
            f"resident memory after the first answer, {name}",
            memory.get(name),
            PLAIN,
            memory[PLAIN],
            1.1 if export in _LEAN else None,
            note or "above TensorFlow's own",
        )


def on_disk(run: Run) -> Iterator[Row]:
    """A version folder's size."""
    portable = exported(run, _FLOAT32)
    assert portable
    float32 = _bytes(portable)
    for export, at_most in zip(_LEAN, (None, 0.28), strict=True):
        folder = exported(run, export)
        ours, note = (_bytes(folder), "") if folder else (None, needs(export))
        yield Row(f"on disk, {export.name}", ours, _FLOAT32.name, float32, at_most, note)


def exported(run: Run, export: Export) -> Path | None:
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


def needs(export: Export) -> str:
    """What to say where this machine can't run an export."""
    return f"not on this processor: needs {export.needs}"


def _signature(folder: Path, case: str) -> Side:
    side, batch = _CASES[case]
    arguments = {"folder": str(folder), "name": "logits", "output": "logits", "side": side, "batch": batch}
    return Side("benchmarks.models:signature", **arguments)


def _seconds(steps: list[Measurement]) -> Figure:
    return Figure.of([step.seconds for step in steps], "seconds")


def _bytes(folder: Path) -> Figure:
    return Figure.of([sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())], "bytes")
