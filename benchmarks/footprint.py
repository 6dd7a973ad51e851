"""What the client costs before it does anything: its import and its installed size, beside TensorFlow's."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from benchmarks.rows import Figure, Row
from benchmarks.run import Run
from benchmarks.side import ROOT, Measurement, Side

_STUBS = "tensorflow_serving.apis.prediction_service_pb2_grpc"  # imports TensorFlow, for its messages
_THEIRS = "tensorflow and tensorflow-serving-api"


def import_client(run: Run) -> Iterator[Row]:
    """`import client`, in a new process each time."""
    modules = {"client": "client", "tensorflow": _STUBS}
    taken: dict[str, list[Measurement]] = {name: [] for name in modules}
    for count in range(run.rounds(7) + 1):
        for name, module in modules.items():
            run.say(f"import {module}")
            with Side("importlib:import_module", name=module) as side:
                if count:  # the first import warms the disk's cache
                    taken[name].append(side.setup)
    seconds = {
        name: Figure.of([setup.seconds for setup in setups], "seconds") for name, setups in taken.items()
    }
    memory = {name: Figure.of([setup.after for setup in setups], "bytes") for name, setups in taken.items()}
    yield Row("import client: time", seconds["client"], _THEIRS, seconds["tensorflow"], 1 / 8)
    yield Row("import client: memory", memory["client"], _THEIRS, memory["tensorflow"], 1 / 6)


def installed_size(run: Run) -> Iterator[Row]:
    """The client and all that it needs, on disk."""
    run.say("installed size")
    own = sum(_folder_size(ROOT / package) for package in ("client", "export", "serving_config"))
    ours = own + sum(map(_size, _closure("slimserve") - {"slimserve"}))
    theirs = sum(map(_size, _closure("tensorflow") | _closure("tensorflow-serving-api")))
    yield Row(
        "installed size of the client",
        Figure.of([ours], "bytes"),
        _THEIRS,
        Figure.of([theirs], "bytes"),
        1 / 15,
        "each with all that it needs",
    )


def _closure(name: str) -> set[str]:
    """The distribution and all that it needs, as installed here."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        distribution = metadata.distribution(waiting.pop())
        key = distribution.metadata["Name"].lower()
        if key in found:
            continue
        found.add(key)
        needed = map(Requirement, distribution.requires or [])
        waiting += [need.name for need in needed if not need.marker or need.marker.evaluate({"extra": ""})]
    return found


def _size(name: str) -> int:
    """Bytes of a distribution's files."""
    files = [Path(str(file.locate())) for file in metadata.files(name) or []]
    return sum(file.stat().st_size for file in files if file.is_file())


def _folder_size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
