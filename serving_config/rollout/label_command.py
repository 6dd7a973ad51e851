"""The frame of `promote`, `canary` and `rollback`: they differ in which labels come out."""

import argparse
import json
import sys
from collections.abc import Callable

from . import server_arguments
from .config_file import ConfigFile
from .config_file_lock import locked
from .rollout import STABLE, Outcome, Rollout

_TIMEOUT = 300.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the server's arguments and --timeout."""
    server_arguments.add_arguments(parser)
    parser.add_argument(
        "--timeout",
        type=float,
        default=_TIMEOUT,
        metavar="S",
        help="how long a version may take to load, in seconds (default: %(default)g)",
    )


def run(args: argparse.Namespace, change: Callable[[dict[str, int]], dict[str, int]]) -> int:
    """Give the model the labels that `change` makes of those it has, and print them; 0 when that worked."""
    service = server_arguments.connect(args)
    try:
        with locked(args.models_config):
            file = ConfigFile(args.models_config)
            rollout = Rollout(service, file, args.model, args.models_root, args.timeout)
            before = rollout.labels
            after = change(before)
            outcome = rollout.assign(after)
    finally:
        service.close()
    if args.json:
        report = {"model": rollout.name, "labels": after, "before": before}
        print(json.dumps({**report, "unloaded": outcome.unloaded, "unpinned": outcome.unpinned}))
    else:
        _print(rollout.name, before, after, outcome)
    if outcome.unpinned != after.get(STABLE):
        print(
            f"note: callers that pin nothing get {rollout.name} version {outcome.unpinned}, the newest that is "
            f'loaded: those who are to get the stable one pin version_label="{STABLE}"',
            file=sys.stderr,
        )
    return 0


def _print(name: str, before: dict[str, int], after: dict[str, int], outcome: Outcome) -> None:
    for label, version in sorted(after.items()):
        was = before.get(label)
        moved = "" if was == version else " (new)" if was is None else f" (was {was})"
        print(f"{name} {label}: version {version}{moved}")
    for version in outcome.unloaded:
        print(f"{name} version {version}: no longer loaded")
