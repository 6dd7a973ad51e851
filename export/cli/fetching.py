"""`python -m export fetch`: published checkpoints by name, and what `--ckpt` does with such a name."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from pathlib import Path

from ..checkpoint.published.download import fetch
from ..checkpoint.published.table import ARCHIVE, PUBLISHED, Published, find_published
from ..errors import ExportError
from .command_line import run_command
from .parser import Parser, path

FOLDER = Path("checkpoints")
_DESCRIPTION = """\
Fetch a checkpoint that slim's or DeepLab's authors published, from their public archive. What was cut off goes on where
it ended. Its address, size and SHA-256 are kept beside it, and stand in the record of each export of it."""

_ELSEWHERE = {
    **dict.fromkeys(("out", "output", "output-dir", "o", "dir"), "--into DIR says where it is put"),
    **dict.fromkeys(("ckpt", "name", "model-name", "net"), "the name stands without an option"),
    "all": "one is fetched at a time, and --list shows their names",
}


def main(argv: list[str], prog: str) -> int:
    """Fetch as the command line says; return the exit code: 0, 1 for an error, 2 for usage, 130 for Ctrl-C."""
    parser = Parser(f"{prog} fetch", _DESCRIPTION, elsewhere=_ELSEWHERE)
    parser.add_argument("name", nargs="?", metavar="NAME", help="such as vgg_16 or mobilenet_v1_1.0_224")
    parser.add_argument("--list", action="store_true", help="show all names")
    parser.add_argument(
        "--into", type=path, default=FOLDER, metavar="DIR", help="where it is put (default: %(default)s)"
    )
    parser.add_argument(
        "--mirror",
        default=ARCHIVE,
        metavar="ADDRESS",
        help="a copy of the archive with the same paths (default: %(default)s)",
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    options = parser.parse(argv)
    if options.list == bool(options.name):
        parser.error("give the NAME of a checkpoint, or --list")
    return run_command(
        lambda: _list() if options.list else _fetch(options, prog),
        undone=lambda: "the same command goes on from there",
        debug=options.debug,
    )


def _list() -> None:
    from ..networks import NETWORKS

    for published in PUBLISHED.values():
        known = any(name.startswith(published.network) for name in NETWORKS)
        about = published.data + ("" if known else ", which this version does not export")
        print(f"{published.name:<42}  {about}")


def _fetch(options: argparse.Namespace, prog: str) -> None:
    published = find_published(options.name)
    there = (options.into / published.file).is_file()
    archive = _fetched(published, options.into, options.mirror)
    print(f"{archive}{' is there already' if there else ''}")
    print(f"next: {prog} --ckpt {archive}")


def _fetched(published: Published, folder: Path, mirror: str = ARCHIVE) -> Path:
    from .progress import progress_bar

    with progress_bar(enabled=True) as progress:
        return fetch(
            published, folder, lambda done, total: progress("fetch", done / max(total, 1)), mirror=mirror
        )


def checkpoint_named(given: str, prog: str) -> str:
    """Return what `--ckpt` means: a path as it is, or the archive of a published name where no such file is.

    On a terminal the user is asked before it is fetched.

    Raises:
        ExportError: it has to be fetched, and nobody can be asked or the answer is no.
    """
    published = PUBLISHED.get(given)
    if Path(given).exists() or not re.fullmatch(r"[\w.-]+", given) or any(Path().glob(f"{given}[.-]*")):
        return given
    if published is None:
        near = difflib.get_close_matches(given.lower(), PUBLISHED, 1, 0.8)
        if near:
            command = f"`{prog} fetch {near[0]}`"
            raise ExportError(
                f"no file is called {given}; a published checkpoint is called {near[0]}: {command} brings it"
            )
        return given
    archive = FOLDER / published.file
    if archive.is_file():
        return str(archive)
    command = f"{prog} fetch {given}"
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise ExportError(
            f"no file is called {given}, but a published checkpoint is: `{command}` brings it; then give that name "
            "again"
        )
    print(f"No file is called {given}. Fetch the published checkpoint of that name from", file=sys.stderr)
    print(f"{published.address()} into {FOLDER}/? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise ExportError(f"nothing was fetched: `{command}` does it, or give a file to --ckpt")
    return str(_fetched(published, FOLDER))
