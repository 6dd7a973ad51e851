"""`canary`, `promote` and `rollback`: each makes new labels of those that a model has, and moves them."""

import argparse
import json
import sys
from collections.abc import Callable

from ..errors import ServingConfigError
from . import server_arguments
from .config_file import ConfigFile
from .config_file_lock import locked
from .rollout import CANARY, PREVIOUS, STABLE, Outcome, Rollout

_TIMEOUT = 300.0
_CANARY = """\
Move the label `canary` to version N on a running server, and write the same to the models.config that the
server starts from. The version is loaded first if it is not. Callers that pin the label `canary` get it, and so
do those that pin nothing, if it is the newest that is loaded: who is to be kept off it pins `stable`. `promote N`
makes it stable; `canary` with the stable version's number ends the trial."""
_PROMOTE = """\
Move the label `stable` to version N on a running server, without a restart and without losing a request, and
write the same to the models.config that the server starts from. The version is loaded first if it is not, and
`previous` keeps the one that was stable loaded, for `rollback`. `canary` follows unless it is on trial elsewhere.
Callers that pin neither a label nor a version get the newest that is loaded, whatever `stable` says."""
_ROLLBACK = """\
Move the label `stable` back to the version that it named before the last `promote`, and write the same to the
models.config that the server starts from. That version is still loaded, so this takes effect at once. A second
rollback undoes the first: the version that is rolled back from stays loaded, so callers that pin neither a label
nor a version stay on it if it is the newest. `stable` is for those who pin it."""

_Labels = dict[str, int]


def add_parser(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the subcommands `canary`, `promote` and `rollback`."""
    canary = _add(add, "canary", "move `canary` to a version", _CANARY)
    canary.set_defaults(run=lambda args: _run(args, lambda labels: {**labels, CANARY: args.version}))
    promote = _add(add, "promote", "move `stable` to a version", _PROMOTE)
    promote.set_defaults(run=lambda args: _run(args, lambda labels: promoted(labels, args.version)))
    for parser in (canary, promote):
        parser.add_argument("version", type=int, metavar="N", help="the version")
    rollback = _add(add, "rollback", "move `stable` back", _ROLLBACK)
    rollback.set_defaults(run=lambda args: _run(args, rolled_back))


def _add(
    add: Callable[..., argparse.ArgumentParser], name: str, short: str, description: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = add(name, help=short, description=description)
    server_arguments.add_arguments(parser)
    parser.add_argument(
        "--timeout",
        type=float,
        default=_TIMEOUT,
        metavar="S",
        help="how long a version may take to load, in seconds (default: %(default)g)",
    )
    return parser


def promoted(labels: _Labels, version: int) -> _Labels:
    """The labels after `version` has become stable."""
    stable = labels.get(STABLE)
    after = {**labels, STABLE: version}
    if labels.get(CANARY) in (stable, None):
        after[CANARY] = version
    if stable is not None and stable != version:
        after[PREVIOUS] = stable
    return after


def rolled_back(labels: _Labels) -> _Labels:
    """The labels with `stable` and `previous` exchanged; `canary` ends its trial where it is the same version.

    Raises:
        ServingConfigError: nothing has been promoted.
    """
    if PREVIOUS not in labels or STABLE not in labels:
        raise ServingConfigError(
            "no version was stable before this one: `promote N` names the version that should be"
        )
    after = {**labels, STABLE: labels[PREVIOUS], PREVIOUS: labels[STABLE]}
    if labels.get(CANARY) == labels[STABLE]:
        after[CANARY] = labels[PREVIOUS]
    return after


def _run(args: argparse.Namespace, change: Callable[[_Labels], _Labels]) -> int:
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


def _print(name: str, before: _Labels, after: _Labels, outcome: Outcome) -> None:
    for label, version in sorted(after.items()):
        was = before.get(label)
        moved = "" if was == version else " (new)" if was is None else f" (was {was})"
        print(f"{name} {label}: version {version}{moved}")
    for version in outcome.unloaded:
        print(f"{name} version {version}: no longer loaded")
