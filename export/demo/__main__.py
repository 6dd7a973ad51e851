"""Write a checkpoint that stands in for the published one: python -m export.demo vgg_16.ckpt."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ..cli.command_line import import_tensorflow, run_command
from ..cli.parser import Parser, path, whole_number
from ..errors import ExportError

_DESCRIPTION = """\
Write a VGG-16 or FCN checkpoint that tells generated textures apart: brick, grass, water and others.

It has the names, shapes and format of the published vgg_16.ckpt, so that everything can be tried without a
download. Its layers are random but the last, which is fitted to generated pictures in closed form. The class
names go beside it, to CHECKPOINT.labels.tsv, where the exporter looks for them."""

_EPILOG = """\
example:
  python -m export.demo vgg_16.ckpt && python -m export --ckpt vgg_16.ckpt"""

_ELSEWHERE = {
    **dict.fromkeys(
        ("out", "output", "o", "ckpt", "checkpoint"), "the file to write stands without an option"
    ),
    **dict.fromkeys(("classes", "num-classes"), "it knows ten textures"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write as the command line says; return the exit code: 0, 1 for an error, 2 for usage, 130 for Ctrl-C."""
    options = _parser().parse(arguments)
    return run_command(lambda: _write(options), undone=lambda: "nothing was written", debug=options.debug)


def _parser() -> Parser:
    parser = Parser("python -m export.demo", _DESCRIPTION, _EPILOG, _ELSEWHERE)
    parser.add_argument(
        "checkpoint", type=path, metavar="CHECKPOINT", help="the file to write, or the V2 prefix"
    )
    parser.add_argument(
        "--format",
        choices=["v1", "v2"],
        default="v1",
        help="v1: one file, as published; v2: an index and a data file (default: %(default)s)",
    )
    parser.add_argument(
        "--net",
        choices=["vgg_16", "fcn_32s", "fcn_16s", "fcn_8s"],
        default="vgg_16",
        help="the network; an FCN's score layers are fitted in closed form too (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=whole_number(0),
        default=0,
        metavar="N",
        help="another seed, another network (default: %(default)s)",
    )
    parser.add_argument("--force", action="store_true", help="replace a checkpoint that is there")
    parser.add_argument("--json", action="store_true", help="print what was written as JSON")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def _write(options: argparse.Namespace) -> None:
    labels = Path(f"{options.checkpoint}.labels.tsv")
    index = Path(f"{options.checkpoint}.index")
    _check_target([index if options.format == "v2" else options.checkpoint, labels], options.force)
    start = time.monotonic()
    # TensorFlow takes seconds to import: not before the target is known to be writable.
    import_tensorflow()
    from ..cli.progress import progress_bar
    from ..networks import find_network
    from .checkpoint_writer import replacing, write_checkpoint
    from .scenes import CLASS_NAMES
    from .skips import with_skips
    from .training import demo_checkpoint

    with progress_bar(enabled=not options.json) as progress:
        tensors = demo_checkpoint(options.seed, progress)
        if options.net != "vgg_16":
            tensors = with_skips(tensors, find_network(options.net), options.seed, progress)
        size = sum(values.nbytes for values in tensors.values())
        with replacing(labels) as stream:  # which are in place once the checkpoint is
            stream.write("".join(f"demo{i:02d}\t{name}\n" for i, name in enumerate(CLASS_NAMES)).encode())
            write_checkpoint(
                options.checkpoint,
                tensors,
                "V1" if options.format == "v1" else "V2",
                lambda done: progress("writing", min(done / size, 1)),
            )
    seconds = time.monotonic() - start
    if options.json:
        answer = {
            "checkpoint": str(options.checkpoint),
            "labels": str(labels),
            "classes": CLASS_NAMES,
            "seconds": round(seconds, 1),
        }
        print(json.dumps(answer, indent=2))
        return
    print(
        f"{options.checkpoint}: {options.net}, {len(CLASS_NAMES)} classes, {size / 1e6:.0f} MB in {seconds:.0f} s"
    )
    print(f"{labels}: {', '.join(CLASS_NAMES)}")
    print(f"next: python -m export --ckpt {options.checkpoint}")


def _check_target(files: Sequence[Path], replace: bool) -> None:
    """Refuse before a minute is spent what would be refused after it."""
    folder = files[0].parent
    if not folder.is_dir():
        raise ExportError(f"{folder} is not a folder: make it first, or name another")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ExportError(f"the folder {folder} is not writable: choose another")
    for file in files:
        if file.is_dir():
            raise ExportError(f"{file} is a folder: name a file in it")
        if file.exists() and not replace:
            raise ExportError(f"{file} is there already: --force replaces it")


if __name__ == "__main__":
    sys.exit(main())
