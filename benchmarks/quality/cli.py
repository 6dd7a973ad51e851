"""The command line of the quality benchmark."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.quality.scores import Scores
from benchmarks.run import DEMO_CHECKPOINT, run_module
from benchmarks.side import ROOT, BenchmarkError

_RESULTS = ROOT / "benchmarks" / "quality.json"
_SHEET = ROOT / "docs" / "quality.png"
_SCENES, _SEED = 100, 20
_SIDES, _REGIONS = (240, 304), (3, 6)  # pixels, textures; fewest and most
_SHOWN = 5  # scenes of the picture
_SHOWN_PROCEDURES = ("tutorial", "bilinear", "stride 8", "FCN-8s")

_DESCRIPTION = f"""\
Compare ways to segment on generated scenes whose every pixel's class is known.

Mean intersection over union, pixel accuracy and boundary F-score of each, with the demo's networks: their
last layers are solved in closed form, all others are random and the same. Their checkpoints are made in demo/
where they are missing.

A run of {_SCENES} scenes takes about a quarter of an hour on one core and writes benchmarks/quality.json and
docs/quality.png; a shorter one prints only."""
_EPILOG = """\
example:
  python -m benchmarks.quality --scenes 5"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare; return the exit code: 0, 1 for an error, 2 for usage, 130 for Ctrl-C."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _run(options)
    except BenchmarkError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped: nothing was written", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--scenes", type=_positive, default=_SCENES, metavar="N", help="how many (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _run(options: argparse.Namespace) -> None:
    from export.tensorflow_import import import_tensorflow

    import_tensorflow()
    from benchmarks.quality.contact_sheet import Row, draw
    from benchmarks.quality.procedures import CHECKPOINTS, PROCEDURES, Segmenter
    from export.demo.scenes import CLASS_NAMES

    with _progress() as progress:
        step = progress.add_task("reading the checkpoints", total=None)
        segmenter = Segmenter([_tensors(_checkpoint(network)) for network in CHECKPOINTS])
        progress.update(step, description="segmenting scenes", total=options.scenes)
        scores = {procedure.name: Scores(len(CLASS_NAMES)) for procedure in PROCEDURES}
        shown: list[Row] = []
        for number in range(options.scenes):
            image, truth = _scene(number)
            found = segmenter.label_maps(image)
            for name, label_map in found.items():
                scores[name].add(truth, label_map)
            if len(shown) < _SHOWN:
                shown.append(
                    Row(
                        image,
                        [truth, *(found[p.name] for p in PROCEDURES if p.short in _SHOWN_PROCEDURES)],
                    )
                )
            progress.advance(step)
    results = {
        "scenes": options.scenes,
        "procedures": [
            {
                "procedure": name,
                "mean_iou": of.mean_iou,
                "pixel_accuracy": of.pixel_accuracy,
                "boundary_f_score": of.boundary_f_score,
            }
            for name, of in scores.items()
        ],
    }
    if options.json:
        print(json.dumps(results, indent=2))
    else:
        _print(scores)
    if options.scenes == _SCENES:
        _RESULTS.write_text(json.dumps(results, indent=2) + "\n", "utf-8")
        draw(_SHEET, ["truth", *_SHOWN_PROCEDURES], shown, CLASS_NAMES)


@contextmanager
def _progress() -> Iterator[Progress]:
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        yield progress


def _checkpoint(network: str) -> Path:
    """The demo checkpoint of a network, made where it is missing."""
    file = DEMO_CHECKPOINT.with_name(f"{network}.ckpt")
    if not file.exists():
        file.parent.mkdir(exist_ok=True)
        run_module("export.demo_checkpoint", file, "--net", network)
    return file


def _tensors(file: Path) -> Mapping[str, NDArray[Any]]:
    from export.checkpoint import open_checkpoint

    with open_checkpoint(file) as checkpoint:
        return dict(checkpoint.read_all(checkpoint.tensors))


def _scene(number: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A picture uint8 [H,W,3] that no network was fitted to, and its label map."""
    from export.demo.scenes import compose

    rng = np.random.default_rng([_SEED, number])
    height, width = (int(side) for side in rng.integers(*_SIDES, 2, endpoint=True))
    return compose(rng, height, width, int(rng.integers(*_REGIONS, endpoint=True)))


def _print(scores: Mapping[str, Scores]) -> None:
    console = Console() if sys.stdout.isatty() else Console(width=120)
    table = Table("procedure", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("mean IoU", "pixel accuracy", "boundary F-score"):
        table.add_column(column, justify="right")
    for name, of in scores.items():
        figures = (of.mean_iou, of.pixel_accuracy, of.boundary_f_score)
        table.add_row(name, *(f"{figure:.1%}" for figure in figures))
    console.print(table)
