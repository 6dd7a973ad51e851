"""`python -m export inspect`: what a checkpoint holds, and what an export of it would do."""

from __future__ import annotations

import argparse
import json
import shlex
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ExportError
from .command_line import import_tensorflow, run_command
from .fetching import checkpoint_named
from .parser import Parser, path

if TYPE_CHECKING:
    from ..checkpoint.contents import Checkpoint
    from ..checkpoint.recognition import Place

_MOST_NAMES = 3
_DESCRIPTION = """\
Say what a checkpoint holds: its network, classes, sets of weights, step and number types, what is missing or left over
and why it does not matter, and what an export would do. Nothing is written."""

_ELSEWHERE = {
    **dict.fromkeys(
        ("ckpt", "checkpoint", "checkpoint-path", "input-checkpoint"),
        "the checkpoint stands without an option",
    ),
    **dict.fromkeys(("out", "precision", "target"), "it is an option of an export, and nothing is written"),
}


def main(argv: list[str], prog: str) -> int:
    """Inspect as the command line says; return the exit code: 0, 1 for an error, 2 for usage, 130 for Ctrl-C."""
    parser = Parser(f"{prog} inspect", _DESCRIPTION, elsewhere=_ELSEWHERE)
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="whatever --ckpt takes")
    parser.add_argument("--net", metavar="NETWORK", help="the network that it shall be")
    parser.add_argument("--scope", metavar="PREFIX", help="below which the network's variables are")
    parser.add_argument("--weights", choices=["averages", "raw"], help="which set of weights")
    parser.add_argument(
        "--labels", type=path, metavar="FILE", help="the class names that an export would get"
    )
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    options = parser.parse(argv)
    return run_command(
        lambda: _inspect(options, prog), undone=lambda: "nothing was written", debug=options.debug
    )


def _inspect(options: argparse.Namespace, prog: str) -> None:
    options.checkpoint = checkpoint_named(options.checkpoint, prog)
    import_tensorflow()
    from ..checkpoint.contents import open_checkpoint

    with open_checkpoint(options.checkpoint) as checkpoint:
        found = inspect_checkpoint(checkpoint, options, prog)
    if options.json:
        print(json.dumps(found, indent=2))
        return
    for name, text in _facts(found):
        print(f"{name:>12}  {text}")


def inspect_checkpoint(checkpoint: Checkpoint, options: argparse.Namespace, prog: str) -> dict[str, Any]:
    """Return what is known of an open checkpoint, as JSON can carry it.

    Args:
        checkpoint: open; of its data only the step is read.
        options: `net`, `scope`, `weights` and `labels`, None where the checkpoint shall tell.
        prog: the command that exports.
    """
    from ..checkpoint.recognition import find_network_in
    from ..networks import find_network
    from ..plan.options import GraphOptions
    from ..plan.plan import Plan
    from ..savedmodel.publication import next_version

    network = find_network(options.net) if options.net else None
    found: dict[str, Any] = {
        "path": str(checkpoint.path),
        "file": str(checkpoint.read_from),
        "format": checkpoint.format,
        "bytes": checkpoint.size,
        "step": checkpoint.step(),
        "tensors": len(checkpoint.tensors),
        "dtypes": dict(Counter(_dtype(spec.dtype) for spec in checkpoint.tensors.values()).most_common()),
        "network": None,
        "notes": list(checkpoint.notes),
    }
    try:
        place = find_network_in(checkpoint, network, options.scope)
        found |= _sets(checkpoint, place)
        found |= _beside(checkpoint, place)
        plan = Plan.of(checkpoint, GraphOptions(), network, options.labels, options.scope, options.weights)
    except ExportError as error:
        return found | {"export": {"refused": str(error)}}
    out = Path("models") / plan.network.name
    return found | {
        "notes": plan.notes,
        "export": {
            "command": _command(options, prog),
            "weights": plan.checkpoint.set,
            "labels": plan.labels.source,
            "preprocessing": plan.options.preprocessing,
            "crop": plan.options.crop,
            "warnings": list(plan.warnings),
            "output_stride": plan.options.output_stride if plan.network.segments else None,
            "writes": str(out / str(next_version(out) if out.is_dir() else 1)),
        },
    }


def _sets(checkpoint: Checkpoint, place: Place) -> dict[str, Any]:
    """The network, and what there is of each set of its weights."""
    from ..checkpoint.weight_sets import weight_sets

    return {
        "network": place.network.name,
        "scope": place.scope,
        "segments": place.network.segments,
        "weights": {
            name: {
                "complete": not found.missing,
                "variables": len(found.tensors),
                "missing": [place.tensor(variable) for variable in found.missing],
            }
            for name, found in weight_sets(checkpoint, place).items()
        },
    }


def _beside(checkpoint: Checkpoint, place: Place) -> dict[str, Any]:
    """The classes, and what a complete set of weights leaves over; nothing where none is complete."""
    from ..checkpoint.selection import left_over
    from ..checkpoint.weight_sets import NetworkWeights, weight_sets

    complete = [name for name, found in weight_sets(checkpoint, place).items() if not found.missing]
    if not complete:
        return {}
    weights = NetworkWeights(checkpoint, place, complete[0])
    shapes = {name: spec.shape for name, spec in weights.tensors.items()}
    return {
        "classes": place.network.classes(shapes),
        "left_over": [
            {"why": why, "tensors": len(names), "examples": names[:_MOST_NAMES]}
            for why, names in left_over(weights).items()
        ],
    }


def _dtype(dtype: Any) -> str:
    return "strings or unknown" if dtype.kind == "O" else str(dtype)


def _command(options: argparse.Namespace, prog: str) -> str:
    given = {"--ckpt": options.checkpoint, "--net": options.net, "--scope": options.scope}
    given |= {"--weights": options.weights, "--labels": options.labels}
    return " ".join(
        [prog, *(f"{name} {shlex.quote(str(value))}" for name, value in given.items() if value is not None)]
    )


def _facts(found: dict[str, Any]) -> list[tuple[str, str]]:
    """The same for people: names and texts."""
    dtypes = ", ".join(f"{count} {dtype}" for dtype, count in found["dtypes"].items())
    facts = [
        ("checkpoint", f"{found['file']} ({found['format']}, {found['bytes'] / 1e6:.0f} MB)"),
        ("step", "not known" if found["step"] is None else f"{found['step']:,}"),
        ("tensors", dtypes),
    ]
    if found["network"]:
        below = f", below {found['scope']}/" if found["scope"] else ""
        tasks = "classifies and segments" if found["segments"] else "classifies only"
        facts.append(("network", f"{found['network']}{below}: {tasks}"))
        facts += [("weights", _set(name, of)) for name, of in found["weights"].items()]
    if "classes" in found:
        facts.append(("classes", str(found["classes"])))
    for left in found.get("left_over", []):
        facts.append(("left over", f"{left['tensors']}: {left['why']} ({left['examples'][0]}, ...)"))
    facts += [("note", note) for note in found["notes"]]
    export = found["export"]
    if "refused" in export:
        return [*facts, ("export", f"would be refused: {export['refused']}")]
    stride = f", output stride {export['output_stride']}" if export["output_stride"] else ""
    would = f"{_NAMES[export['weights']]}, classes named by {export['labels']}{stride}, to {export['writes']}"
    prepared = (
        f"{export['preprocessing']} preprocessing, crops of {export['crop']}x{export['crop']} classified"
    )
    facts += [("export", would), ("images", prepared), *(("warning", text) for text in export["warnings"])]
    return [*facts, ("next", export["command"])]


_NAMES = {"averages": "moving averages", "raw": "raw weights"}


def _set(name: str, found: dict[str, Any]) -> str:
    missing = found["missing"]
    if not missing:
        return f"{_NAMES[name]}, all {found['variables']} variables"
    from ..checkpoint.weight_sets import listed

    return f"{_NAMES[name]} of {found['variables']} variables; missing: {listed(missing)}"
