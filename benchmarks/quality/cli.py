"""The command line of the quality benchmark."""

from __future__ import annotations

import argparse
import hashlib
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
_SIDES, _REGIONS = (320, 448), (3, 6)  # pixels, textures; fewest and most
_SHOWN_SCENES = range(5)
_SHOWN = ("tutorial", "bilinear", "stride 8", "FCN-8s")

_DESCRIPTION = f"""\
Compare ways to segment on generated scenes whose every pixel's class is known.

Mean intersection over union, pixel accuracy and boundary F-score of each, with the demo's networks: their
last layers are solved in closed form, all others are random and the same. Their checkpoints are made in demo/
where they are missing.

A run of {_SCENES} scenes takes about twenty minutes on one core and writes benchmarks/quality.json and
docs/quality.png; a shorter one prints only. What is segmented is kept in demo/: a run that was stopped goes on."""
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
        print("stopped: the next run goes on with the scenes that are left", file=sys.stderr)
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
    from slimserve.export.cli.command_line import import_tensorflow

    import_tensorflow()
    from slimserve.export.demo.scenes import CLASS_NAMES

    from benchmarks.quality.contact_sheet import Row, draw
    from benchmarks.quality.procedures import PROCEDURES

    names = [procedure.name for procedure in PROCEDURES]
    with _progress() as progress:
        files = _segmented(range(options.scenes), progress)
        step = progress.add_task("scoring", total=options.scenes)
        scores = {name: Scores(len(CLASS_NAMES)) for name in names}
        for number, file in enumerate(files):
            _, truth = scene(number)
            for name, label_map in zip(names, np.load(file), strict=True):
                scores[name].add(truth, label_map)
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
        columns = [index for index, procedure in enumerate(PROCEDURES) if procedure.short in _SHOWN]
        rows = []
        for number in _SHOWN_SCENES:
            image, truth = scene(number)
            rows.append(Row(image, [truth, *np.load(files[number])[columns]]))
        draw(_SHEET, ["truth", *(PROCEDURES[index].short for index in columns)], rows, CLASS_NAMES)


def _segmented(numbers: Sequence[int], progress: Progress) -> list[Path]:
    """Files with the label maps of scenes, uint8 [procedures,H,W]; those of earlier runs are taken as they are."""
    from benchmarks.quality.procedures import CHECKPOINTS, Segmenter

    step = progress.add_task("reading the checkpoints", total=None)
    checkpoints = [_checkpoint(network) for network in CHECKPOINTS]
    folder = _folder(checkpoints)
    files = [folder / f"{number:03d}.npy" for number in numbers]
    segmenter = None if all(file.exists() for file in files) else Segmenter(list(map(_tensors, checkpoints)))
    progress.update(step, description="segmenting scenes", total=len(files))
    for number, file in zip(numbers, files, strict=True):
        if segmenter and not file.exists():
            label_maps = segmenter.label_maps(scene(number)[0])
            draft = file.with_suffix(".tmp.npy")
            np.save(draft, np.stack(list(label_maps.values())))
            draft.replace(file)
        progress.advance(step)
    return files


def _folder(checkpoints: Sequence[Path]) -> Path:
    """Where the label maps of these checkpoints and scenes are kept."""
    from benchmarks.quality.procedures import PROCEDURES

    stats = [(file.stat().st_size, file.stat().st_mtime_ns) for file in checkpoints]
    names = [procedure.name for procedure in PROCEDURES]
    key = hashlib.sha256(repr((stats, names, _SEED, _SIDES, _REGIONS)).encode()).hexdigest()[:8]
    folder = DEMO_CHECKPOINT.with_name(f"quality-{key}")
    folder.mkdir(exist_ok=True)
    return folder


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
        run_module("export.demo", file, "--net", network)
    return file


def _tensors(file: Path) -> Mapping[str, NDArray[Any]]:
    from slimserve.export.checkpoint.contents import open_checkpoint

    with open_checkpoint(file) as checkpoint:
        return dict(checkpoint.read_all(checkpoint.tensors))


def scene(number: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A picture uint8 [H,W,3] that no network was fitted to, and its label map."""
    from slimserve.export.demo.scenes import compose

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
