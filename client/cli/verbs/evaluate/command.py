"""`evaluate`: the command."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from .... import Client, InvalidInput
from ....images import pillow
from ....limits import counted
from ... import display, files
from ...each_image import AddParser, Row, add_concurrency, positive
from .classification import Classification
from .results import summarize
from .segmentation import Segmentation
from .side import JOURNAL, Judge, answer_all, identity, pin
from .tables import show
from .truth.find import Truth, find_truth, without_truth

_SHOWN = 3  # names of what was left out


def add_parsers(add: AddParser) -> None:
    """Add the command."""
    parser = add("evaluate", "judge the answers for a folder of images whose true answers are known")
    parser.add_argument("folder", type=files.path_argument, metavar="FOLDER", help="a folder of images")
    truth = (
        "a table of files and classes (CSV), a folder with a folder for each class (FOLDER itself may be it), or a "
        "folder of label maps: PNGs of class ids, called like their images"
    )
    parser.add_argument("--truth", type=files.path_argument, required=True, metavar="T", help=truth)
    parser.add_argument(
        "--task", choices=["classify", "segment"], help="what is judged (default: what T is for)"
    )
    out = "the folder for answers: a run that was stopped goes on from them (%(default)s)"
    parser.add_argument(
        "-o", "--out", type=files.path_argument, default=Path("evaluation"), metavar="OUT", help=out
    )
    parser.add_argument("--overwrite", action="store_true", help="ask for all images again")
    report = "also write one HTML page, the worst images first"
    parser.add_argument("--report", type=files.path_argument, metavar="FILE", help=report)
    labels = "identifiers of the classes: assets/labels.tsv of the export"
    parser.add_argument("--labels", type=files.path_argument, metavar="FILE", help=labels)
    ignore = "not judged where the truth is this class (default: 255, or 65535 in label maps of 16 bits)"
    parser.add_argument("--ignore", type=int, metavar="N", help=ignore)
    add_concurrency(parser, default=4)
    tile = "segment larger images in tiles with sides of at most that"
    parser.add_argument("--tile", type=positive, metavar="PIXELS", help=tile)
    second = parser.add_argument_group("a second side, compared with the first")
    second.add_argument("--against", metavar="HOST:PORT", help="its server (default: the same)")
    second.add_argument("--against-model", metavar="NAME", help="its model (default: the same)")
    version = second.add_mutually_exclusive_group()
    version.add_argument("--against-version", type=int, metavar="N", help="its version, not the newest")
    version.add_argument("--against-version-label", metavar="LABEL", help="its version, by label")
    parser.set_defaults(run=evaluate)


def evaluate(client: Client, options: argparse.Namespace) -> int:
    """Print how good the answers are; exit code 1 where an image has none. The sides connect on their own."""
    images, truth, without = _find(options)
    judge = _judge(images, truth, options)
    if options.report:
        results = files.name_results(images, options.out, judge.kinds)
        written = [path for paths in results for path in paths.values()]
        files.check_report(options.report, [*images, *written, options.out / JOURNAL])
        pillow.require("--report")
    asked = [pin(each) for each in (options, _second(options)) if each]
    if len(asked) == 2 and identity(asked[0]) == identity(asked[1]):
        raise InvalidInput(
            f"both sides are {identity(asked[0])}: name another --against or --against-version"
        )
    with display.progress(as_json=options.json) as bars:
        sides = [
            answer_all(each, images, judge, out, bars)
            for each, out in zip(asked, (options.out, options.out / "against"), strict=False)
        ]
        result = summarize(images, truth, judge, sides) | {"without_truth": without}
        if options.report and result["images"]:
            from .cards import write_page

            write_page(options.report, result, judge, sides[0], bars)
    if not result["images"]:
        raise InvalidInput(f"none of {len(images)} images could be judged")
    _warn(result)
    if options.json:
        display.show_json(result)
    else:
        show(result, judge.figures, judge.columns)
        display.show_line(
            f"the answers are in {options.out}: the same command asks for what is new or has changed"
        )
        if options.report:
            display.show_line(str(options.report))
    return 1 if result["without_answer"] else 0


def _find(options: argparse.Namespace) -> tuple[list[Path], Truth, list[str]]:
    """Find the images that have a truth, the truth of these, and the images that have none; say what was found."""
    folder: Path = options.folder
    if not folder.is_dir():
        raise InvalidInput(f"{folder} is not a folder: name the folder of the images")
    left_out: Counter[str] = Counter()
    images = list(without_truth(files.find_images([folder], options.out, left_out), options.truth, folder))
    if not images:
        raise InvalidInput(f"the folder {folder} holds no images but the truth")
    truth = find_truth(folder, images, options.truth, options.task)
    known = [(image, of) for image, of in zip(images, truth.of, strict=True) if of is not None]
    without = [str(image) for image, of in zip(images, truth.of, strict=True) if of is None]
    display.show_notes(f"{truth.task}: {truth.reason}", files.describe_left_out(left_out))
    _say(without, f"of {len(images)} images have no truth and are left out")
    _say(truth.unused, "in the truth have no image")
    return [image for image, _ in known], truth._replace(of=[of for _, of in known]), without


def _judge(images: Sequence[Path], truth: Truth, options: argparse.Namespace) -> Judge:
    if truth.task == "classify":
        if options.tile or options.ignore is not None:
            raise InvalidInput(f"--tile and --ignore are of label maps: leave them out, {truth.reason}")
        return Classification(images, [str(text) for text in truth.of])
    pillow.require("reading label maps")
    return Segmentation(images, [Path(str(path)) for path in truth.of], options.ignore, options.tile)


def _second(options: argparse.Namespace) -> argparse.Namespace | None:
    """Give the options of the second side; None where there is none."""
    named = {
        "server": options.against,
        "model": options.against_model,
        "version": options.against_version,
        "version_label": options.against_version_label,
    }
    changed = {name: value for name, value in named.items() if value is not None}
    if not changed:
        return None
    return argparse.Namespace(**vars(options) | {"version": None, "version_label": None} | changed)


def _warn(result: Row) -> None:
    """Say on stderr what the figures do not show."""
    for side in (result, *([result["against"]] if "against" in result else [])):
        for text, count in side["unknown_classes"].items():
            lacks = f"version {side['model_version']} on {side['server']} lacks the class {text!r}"
            display.show_notes(f"warning: {lacks} of the truth: wrong in {counted(count, 'image')}")


def _say(names: Sequence[str], what: str) -> None:
    if names:
        shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
        display.show_notes(f"warning: {len(names)} {what}: {shown}")
