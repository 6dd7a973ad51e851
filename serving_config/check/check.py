"""`python -m serving_config check`: which files, in which order, and what is printed."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from ..errors import ServingConfigError
from ..paths import path_argument
from . import inspection, report
from .deployments.kubernetes import SCHEMAS, VERSIONS
from .finding import Result

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

Exit status: 0 no fault, 1 faults found, 2 wrong usage or nothing that could be checked."""


def add_parser(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the `check` subcommand."""
    parser = add(
        "check",
        help="find faults in a deployment's files before a server does",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument(
        "files",
        nargs="*",
        type=path_argument,
        metavar="FILE",
        help="files or folders; default: serving_config/",
    )
    parser.add_argument(
        "--models-config", type=path_argument, metavar="FILE", help="check this model configuration alone"
    )
    parser.add_argument(
        "--models-root",
        type=path_argument,
        metavar="FOLDER",
        help="what the container sees as /models; default: ./models where that exists",
    )
    parser.add_argument(
        "--kubernetes-version",
        default=SCHEMAS,
        choices=VERSIONS,
        metavar="N.N",
        help=f"of the cluster, from {VERSIONS[0]} to {VERSIONS[-1]} (default: %(default)s)",
    )
    parser.add_argument(
        "--format", default="lines", choices=report.FORMATS, help="what is printed (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="the same as --format json")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Check; 0 when nothing was found, 1 when something was, 2 when it could not be checked."""
    try:
        result = _inspect(args)
    except ServingConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(report.FORMATS["json" if args.json else args.format](result), end="")
    return 1 if result.findings else 0


def _inspect(args: argparse.Namespace) -> Result:
    chosen = [args.models_config] if args.models_config else []
    chosen += args.files or ([] if chosen else [_HERE])
    for path in [*chosen, *([args.models_root] if args.models_root else [])]:
        if not path.exists():
            raise ServingConfigError(f"{path} does not exist: name a file or a folder that does")
    return inspection.inspect(
        chosen,
        args.models_root,
        model_configs=[args.models_config] if args.models_config else [],
        kubernetes_version=args.kubernetes_version,
    )
