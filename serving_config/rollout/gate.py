"""A gate before a promotion: a command of the operator's own, which says by its exit status whether to go on."""

import argparse
import os
import subprocess
import sys

from ..errors import ServingConfigError

_STDERR = 2


def add_argument(parser: argparse.ArgumentParser) -> None:
    """Add --if."""
    parser.add_argument(
        "--if",
        dest="gate",
        metavar="COMMAND",
        help="promote only if this line of shell ends with exit status 0, such as `slimserve evaluate ... --against "
        "...`; it finds the version in $VERSION",
    )


def pass_through(args: argparse.Namespace) -> None:
    """Return where there is no gate, or it is open; what its command prints goes to stderr.

    Raises:
        ServingConfigError: the command ended with another status than 0.
    """
    command = getattr(args, "gate", None)
    if command is None:
        return
    environment = os.environ | {"VERSION": str(args.version)}
    sys.stderr.flush()
    code = subprocess.run(command, shell=True, env=environment, stdout=_STDERR, check=False).returncode
    if code:
        raise ServingConfigError(f"`{command}` ended with exit status {code}: nothing has been changed")
