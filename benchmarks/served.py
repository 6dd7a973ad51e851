"""What callers get of a server: each export behind it, beside the usual export behind the same server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.network import EXPORTS, PLAIN, exported, needs
from benchmarks.rows import Figure, Row
from benchmarks.run import Run
from benchmarks.serving import Server, serving
from benchmarks.side import Side

_SIDES = (224, 512)
_CALLERS = (1, 4, 16)
_BATCHES = (1, 8, 32)
_MIXED = (224, 320, 448, 512, 736)
_TARGETS = {  # of a figure beside the usual export's, by the export's name
    "a call of 224x224, median": {"portable float32": 0.9},
    "a call of 512x512, median": {"portable float32": 1.0},
    "8 images of 224x224 in a request": {"portable float32": 0.85},
    "resident after load": {"x86 float32": 1.15, "x86 bfloat16": 0.9, "x86 int8": 0.75},
}


def served(run: Run) -> Iterator[Row]:
    """Signature `logits` through gRPC: one caller, many callers, sizes in any order, batches, memory, readiness."""
    usual = _figures(run, PLAIN, run.plain)
    for export in EXPORTS:
        version = exported(run, export)
        figures = _figures(run, export.name, version) if version else {}
        for what, theirs in usual.items():
            at_most = _TARGETS.get(what, {}).get(export.name)
            note = "" if version else needs(export)
            name = f"served, {export.name}: {what}"
            yield Row(name, figures.get(what), f"{PLAIN}, served alike", theirs, at_most, note)
        for what, against, most in (
            ("16 callers of 224x224, a call's share", "1 caller of 224x224, a call's share", 1.0),
            ("sizes in random order", "sizes in order", 1.03),
            ("8 images of 224x224 in a request, an image", "1 image of 224x224 in a request, an image", None),
        ):
            if figures:
                yield Row(f"served, {export.name}: {what}", figures[what], against, figures[against], most)


def _figures(run: Run, name: str, version: Path) -> dict[str, Figure]:
    """All figures of one export, by what they are of."""
    run.say(f"{name}: starting {run.server or 'the embedded engine'}")
    with serving(version, run.server) as server:
        found = {"seconds until ready": [server.seconds], "resident after warm-up": [server.resident()]}
        for side in _SIDES:
            run.say(f"{name}: one caller, {side}x{side}")
            taken = _crowd(run, server, side, 1, 1)
            found[f"a call of {side}x{side}, median"] = taken["p50"]
            found[f"a call of {side}x{side}, 99th percentile"] = taken["p99"]
        for callers in _CALLERS:
            run.say(f"{name}: {callers} callers")
            share = _crowd(run, server, 224, 1, callers)["share"]
            found[f"{_number(callers, 'caller')} of 224x224, a call's share"] = share
        for batch in _BATCHES:
            images = f"{_number(batch, 'image')} of 224x224 in a request"
            run.say(f"{name}: {images}")
            found[images] = _crowd(run, server, 224, batch, 1)["p50"]
            found[f"{images}, an image"] = [each / batch for each in found[images]]
        run.say(f"{name}: sizes in order and mixed")
        arguments = {"address": server.address, "sides": list(_MIXED), "times": 1 if run.quick else 4}
        with Side("benchmarks.callers:sizes", **arguments) as side:
            side.step()
            steps = [side.step().detail for _ in range(run.rounds(3))]
        found["sizes in order"] = [step["ordered"] for step in steps]
        found["sizes in random order"] = [step["mixed"] for step in steps]
        found["resident after load"] = [server.resident()]
    return {
        what: Figure.of(values, "bytes" if what.startswith("resident") else "seconds")
        for what, values in found.items()
    }


def _number(count: int, what: str) -> str:
    return f"{count} {what}" + ("s" if count > 1 else "")


def _crowd(run: Run, server: Server, side: int, batch: int, callers: int) -> dict[str, list[float]]:
    """The parts of `crowd`, each of some rounds."""
    arguments = {"side": side, "batch": batch, "callers": callers, "seconds": 1.0 if run.quick else 5.0}
    with Side("benchmarks.callers:crowd", address=server.address, **arguments) as crowd:
        crowd.step()
        steps = [crowd.step().detail for _ in range(run.rounds(3))]
    return {part: [step[part] for step in steps] for part in steps[0]}
