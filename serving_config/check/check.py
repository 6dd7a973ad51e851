"""`python -m serving_config check`: which files, in which order, and what is printed."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from ..errors import ServingConfigError
from . import inspection
from .finding import Finding, shorten

_HERE = Path(__file__).resolve().parent.parent
_DESCRIPTION = """\
Looks for faults in a deployment's files before a server meets them: models.config, batching.config,
monitoring.config and ssl.config against TensorFlow Serving's messages; base paths, versions and labels
against the models on disk; the server's flags; compose files, Dockerfiles, Kubernetes manifests and
kustomizations against their schemas and against each other.
One line per fault: file:line: what is wrong, what to do."""
_EPILOG = """\
examples:
  %(prog)s                                  every file in serving_config/
  %(prog)s --models-config my/models.config --models-root models
  %(prog)s deploy/                          what `render` wrote

Exit status: 0 no fault, 1 faults found, 2 wrong usage."""


def add_parser(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the `check` subcommand."""
    parser = add(
        "check",
        help="find faults in a deployment's files before a server does",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help="files or folders; default: serving_config/"
    )
    parser.add_argument(
        "--models-config", type=Path, metavar="FILE", help="check this model configuration alone"
    )
    parser.add_argument(
        "--models-root",
        type=Path,
        metavar="FOLDER",
        help="what the container sees as /models; default: ./models where that exists",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Check; 0 when nothing was found, 1 otherwise.

    Raises:
        ServingConfigError: a file or folder that was named does not exist.
    """
    chosen = [args.models_config] if args.models_config else []
    chosen += args.files or ([] if chosen else [_HERE])
    for path in [*chosen, *([args.models_root] if args.models_root else [])]:
        if not path.exists():
            raise ServingConfigError(f"{path} does not exist: name a file or a folder that does")
    result = inspection.inspect(
        chosen, args.models_root, model_configs=[args.models_config] if args.models_config else []
    )
    _print(result, args.json)
    return 1 if result.findings else 0


def _print(result: inspection.Result, as_json: bool) -> None:
    if as_json:
        print(
            json.dumps(
                {
                    "files": [str(p) for p in result.files],
                    "findings": [_record(f) for f in result.findings],
                    "notes": result.notes,
                },
                indent=2,
            )
        )
        return
    for finding in result.findings:
        print(finding)
    for note in result.notes:
        print(f"note: {note}", file=sys.stderr)
    count = len(result.findings)
    outcome = "no fault" if not count else f"{count} fault{'s' * (count > 1)}"
    print(f"{outcome} in {len(result.files)} file{'s' * (len(result.files) != 1)}", file=sys.stderr)


def _record(finding: Finding) -> dict[str, object]:
    return {
        "file": shorten(finding.path),
        "line": finding.line,
        "message": finding.message,
        "advice": finding.advice,
    }
