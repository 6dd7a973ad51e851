"""`python -m serving_config canary N`: put a version on trial beside the stable one."""

import argparse

from . import label_command
from .rollout import CANARY

_DESCRIPTION = """\
Move the label `canary` to version N on a running server, and write the same to the models.config that the
server starts from. The version is loaded first if it is not. Callers that pin the label `canary` get it, and so
do those that pin nothing, if it is the newest that is loaded: who is to be kept off it pins `stable`. `promote N`
makes it stable; `canary` with the stable version's number ends the trial."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the `canary` subcommand."""
    parser = subparsers.add_parser("canary", help="move `canary` to a version", description=_DESCRIPTION)
    parser.add_argument("version", type=int, metavar="N", help="the version")
    label_command.add_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Move `canary`; 0 when the server and the file have the new label."""
    return label_command.run(args, lambda labels: {**labels, CANARY: args.version})
