"""`python -m serving_config rollback`: make the version before the stable one again."""

import argparse

from ..errors import ServingConfigError
from . import label_command
from .rollout import CANARY, PREVIOUS, STABLE

_DESCRIPTION = """\
Move the label `stable` back to the version that it named before the last `promote`, and write the same to the
models.config that the server starts from. That version is still loaded, so this takes effect at once. A second
rollback undoes the first: the version that is rolled back from stays loaded, so callers that pin neither a label
nor a version stay on it if it is the newest. `stable` is for those who pin it."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the `rollback` subcommand."""
    parser = subparsers.add_parser("rollback", help="move `stable` back", description=_DESCRIPTION)
    label_command.add_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Roll back; 0 when the server and the file have the labels of before."""
    return label_command.run(args, rolled_back)


def rolled_back(labels: dict[str, int]) -> dict[str, int]:
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
