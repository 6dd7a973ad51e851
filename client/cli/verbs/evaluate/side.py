"""One side of an evaluation: a version of a model on a server, and its answers to all images, kept in a folder."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ....channels.addresses import parse_addresses
from ... import display, files
from ...connection import connect
from ...each_image import Row, attempt_each
from ...journal import Journal, observe
from .classes import Classes, ask_classes
from .classification import Classification
from .segmentation import Segmentation

JOURNAL = "evaluation.jsonl"

Judge = Classification | Segmentation


class Side(NamedTuple):
    """A side once it has answered: `rows` are of all images in order, each judged or an `error`."""

    server: str
    model: str
    version: int
    classes: Classes
    rows: Sequence[Row]


def pin(options: argparse.Namespace) -> argparse.Namespace:
    """Hold options to the version that answers now: an evaluation is of one version. Raises the client's errors."""
    with connect(options) as client:
        version = client.metadata().version
    return argparse.Namespace(**vars(options) | {"version": version, "version_label": None})


def identity(options: argparse.Namespace) -> str:
    """Name what pinned options ask."""
    servers = ",".join(sorted(parse_addresses(options.server)))
    return f"{options.model} version {options.version} on {servers}"


def answer_all(
    options: argparse.Namespace, images: Sequence[Path], judge: Judge, out: Path, bars: display.Bars
) -> Side:
    """Ask what pinned options name for every image that has no answer in the folder `out` yet, and judge all.

    Raises KeyboardInterrupt, which says how to go on, and the errors of the client.
    """
    files.make_folder(out)
    results = files.name_results(images, out, judge.kinds)
    names = [
        "".join(path.name for path in paths.values()) or str(image)
        for image, paths in zip(images, results, strict=True)
    ]
    settings = {"task": judge.verb, "of": identity(options), "tile": options.tile}
    with connect(options) as client:
        classes = ask_classes(client, options.labels)
        if isinstance(judge, Classification):
            judge.check_truth(classes)

        def work(index: int) -> Row:
            image, paths = images[index], results[index]
            answer = journal.find(names[index], image, paths)
            if answer is None:
                before = observe(image)
                answer = judge.ask(client, index, paths)
                journal.add(names[index], before, paths, answer)
            return judge.judge(index, answer, paths, classes)

        with Journal(out / JOURNAL, settings, judge.check, afresh=options.overwrite) as journal:
            attempts = attempt_each(client, images, work, options.concurrency, debug=options.debug)
            rows = list(bars.over(attempts, len(images), f"{judge.verb} by {options.server}"))
    return Side(options.server, options.model, options.version, classes, rows)
