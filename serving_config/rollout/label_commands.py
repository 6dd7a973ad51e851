"""`canary`, `promote` and `rollback`: each makes new labels of those that a model has, and moves them."""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..deploy.changes import changes
from ..deploy.files import next_commands
from ..deploy.wanted import FILE, Wanted
from ..errors import ServingConfigError
from ..server import models_config
from . import server_arguments
from .config_file import ConfigFile, locked
from .rollout import CANARY, PREVIOUS, STABLE, Outcome, Rollout, kept_versions

_TIMEOUT = 300.0
_STDERR = 2
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
    promote.add_argument(
        "--if",
        dest="gate",
        metavar="COMMAND",
        help="promote only if this line of shell ends with exit status 0, such as `slimserve evaluate ... --against "
        "...`; it finds the version in $VERSION",
    )
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
    parser.add_argument(
        "--file-system-poll-seconds",
        type=float,
        default=1.0,
        metavar="S",
        help="how often the server looks at the disk, as it was started: a version that failed before is withdrawn for "
        "longer than that (default: %(default)g)",
    )
    deployment = parser.add_argument_group(
        "a deployment that was rendered",
        f"Where there is a {FILE}, it and the files made from it are changed too.",
    )
    deployment.add_argument("--yes", action="store_true", help="write the difference without asking")
    deployment.add_argument(
        "--force", action="store_true", help="also where it loses something or replaces what is yours"
    )
    deployment.add_argument(
        "--no-server", action="store_true", help="change the files alone, and no server that runs"
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
    if getattr(args, "gate", None) is not None:
        _pass_gate(args.gate, args.version)
    wanted = server_arguments.deployment(args)
    with locked(server_arguments.config_file(args, wanted)):
        if wanted is not None:
            return _run_deployment(args, Wanted(wanted.out), change)
        rollout, before, after, outcome = _move(args, None, change)
    _report(args, rollout.name, before, after, outcome, {})
    return 0


def _pass_gate(command: str, version: int) -> None:
    """Return where the operator's own command says so by its exit status; what it prints goes to stderr.

    Raises:
        ServingConfigError: the command ended with another status than 0.
    """
    environment = os.environ | {"VERSION": str(version)}
    sys.stderr.flush()
    code = subprocess.run(command, shell=True, env=environment, stdout=_STDERR, check=False).returncode
    if code:
        raise ServingConfigError(f"`{command}` ended with exit status {code}: nothing has been changed")


def _run_deployment(args: argparse.Namespace, wanted: Wanted, change: Callable[[_Labels], _Labels]) -> int:
    """The same for a deployment that was rendered: its wanted state and its files, and a server on one machine."""
    name = models_config.only(wanted.path, wanted.model_names, args.model)
    before = wanted.labels(name)
    after = change(before)
    kept = kept_versions(wanted.versions(name), before, after)
    missing = kept - set(models_config.version_folders(wanted.folder(name)))
    if missing and wanted.folder(name).is_dir():
        raise ServingConfigError(f"{wanted.folder(name)} has no version {min(missing)}: export it first")
    wanted.set_versions(name, sorted(kept), after)
    found = changes(wanted, wanted.plan())
    if not args.json:
        print(found.difference() or "nothing changes")
    found.confirm(args.yes, args.force)
    outcome = None
    # A container that holds the models itself has no new version, and a server waits for that without end.
    if "docker" in wanted.targets and not (args.no_server or found.plan.baked):
        _, _, _, outcome = _move(args, wanted, change)
    found.write()
    following = next_commands(
        wanted.out, found.plan, [t for t in wanted.targets if t != "docker" or not outcome]
    )
    _report(args, name, before, after, outcome, {"difference": found.difference(), "next": following})
    return 0


def _move(
    args: argparse.Namespace, wanted: Wanted | None, change: Callable[[_Labels], _Labels]
) -> tuple[Rollout, _Labels, _Labels, Outcome]:
    """Move the labels on the running server, and in its models.config."""
    with server_arguments.connected(args) as services:
        file = ConfigFile(server_arguments.config_file(args, wanted))
        root = server_arguments.models_root(args, wanted)
        rollout = Rollout(services, file, args.model, root, args.timeout, args.file_system_poll_seconds)
        before = rollout.labels
        after = change(before)
        return rollout, before, after, rollout.assign(after)


def _report(
    args: argparse.Namespace,
    name: str,
    before: _Labels,
    after: _Labels,
    outcome: Outcome | None,
    more: Mapping[str, Any],
) -> None:
    if args.json:
        moved = {"unloaded": outcome.unloaded, "unpinned": outcome.unpinned} if outcome else {}
        print(json.dumps({"model": name, "labels": after, "before": before, **moved, **more}))
    else:
        _print(name, before, after, outcome.unloaded if outcome else [])
        for command in more.get("next", []):
            print(f"next: {command}")
    if outcome and outcome.unpinned != after.get(STABLE):
        print(
            f"note: callers that pin nothing get {name} version {outcome.unpinned}, the newest that is "
            f'loaded: those who are to get the stable one pin version_label="{STABLE}"',
            file=sys.stderr,
        )


def _print(name: str, before: _Labels, after: _Labels, unloaded: Sequence[int]) -> None:
    for label, version in sorted(after.items()):
        was = before.get(label)
        moved = "" if was == version else " (new)" if was is None else f" (was {was})"
        print(f"{name} {label}: version {version}{moved}")
    for version in unloaded:
        print(f"{name} version {version}: no longer loaded")
