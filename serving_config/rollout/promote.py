"""`python -m serving_config promote N`: make a version the one that answers to `stable`."""

import argparse

from . import label_command
from .rollout import CANARY, PREVIOUS, STABLE

_DESCRIPTION = """\
Move the label `stable` to version N on a running server, without a restart and without losing a request, and
write the same to the models.config that the server starts from. The version is loaded first if it is not, and
`previous` keeps the one that was stable loaded, for `rollback`. `canary` follows unless it is on trial elsewhere.
Callers that pin neither a label nor a version get the newest that is loaded, whatever `stable` says."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the `promote` subcommand."""
    parser = subparsers.add_parser("promote", help="move `stable` to a version", description=_DESCRIPTION)
    parser.add_argument("version", type=int, metavar="N", help="the version")
    label_command.add_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Promote; 0 when the server and the file have the new labels."""
    return label_command.run(args, lambda labels: promoted(labels, args.version))


def promoted(labels: dict[str, int], version: int) -> dict[str, int]:
    """The labels after `version` has become stable."""
    stable = labels.get(STABLE)
    after = {**labels, STABLE: version}
    if labels.get(CANARY) in (stable, None):
        after[CANARY] = version
    if stable is not None and stable != version:
        after[PREVIOUS] = stable
    return after
