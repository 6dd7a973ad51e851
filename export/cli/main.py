"""The command line of the exporter."""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

from . import fetching, inspection
from .command_line import import_tensorflow, run_command
from .export_options import export_parser, read_options

_VERBS = {"inspect": inspection.main, "fetch": fetching.main}
_WORDS = {"list": "fetch --list", "help": "--help", "info": "inspect", "show": "inspect", "download": "fetch"}


def main(argv: Sequence[str] | None = None, prog: str = "python -m export") -> int:
    """Export as the command line says; return the exit code: 0, 1 for an error, 2 for usage, 130 for Ctrl-C."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    first = arguments[0] if arguments else ""
    if first in _VERBS:
        return _VERBS[first](arguments[1:], prog)
    parser = export_parser(prog)
    if first and not first.startswith("-"):
        near = difflib.get_close_matches(first, [*_VERBS, *_WORDS], 1)
        meant = _WORDS.get(near[0], near[0]) if near else f"--ckpt {first}"
        parser.error(f"{first} stands where an option or a verb does: did you mean `{prog} {meant}`?")
    options = read_options(parser, arguments)
    published: list[Path] = []

    def undone() -> str:
        return f"{published[0]} was published before" if published else "nothing was published"

    return run_command(lambda: _export(options, published, prog), undone=undone, debug=options.debug)


def _export(options: argparse.Namespace, published: list[Path], prog: str) -> None:
    options.checkpoint = fetching.checkpoint_named(options.checkpoint, prog)
    # TensorFlow takes seconds to import: not before the arguments are known to be right.
    import_tensorflow()
    from ..networks import find_network
    from ..pipeline import export_checkpoint
    from ..plan.options import GraphOptions, Request
    from .progress import progress_bar
    from .report import print_report, report

    given = {name: value for name, value in vars(options).items() if value is not None}
    graph = GraphOptions(
        **{field.name: given[field.name] for field in fields(GraphOptions) if field.name in given}
    )
    request = Request(**{field.name: given[field.name] for field in fields(Request) if field.name in given})
    network = find_network(options.net) if options.net else None
    request = replace(request, network=network, graph=graph)
    with progress_bar(enabled=not options.json) as progress:
        result = export_checkpoint(request, progress, published.append)
    for warning in result.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if options.json:
        print(json.dumps(report(result), indent=2))
    else:
        print_report(result)
