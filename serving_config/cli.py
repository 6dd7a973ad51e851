"""The command line `python -m serving_config`: finds the subcommand, runs it, turns errors into one line.

A subcommand's module has `add_parser(add)`, which adds its parser and sets `run`, a function from the parsed
arguments to the exit code. Only the module of the subcommand that was typed is imported, so `check` never waits for
TensorFlow.
"""

import argparse
import functools
import importlib
import os
import sys
import traceback
from collections.abc import Sequence

from .errors import ServingConfigError

COMMANDS = {
    "up": ".up.up",
    "check": ".check.check",
    "render": ".deploy.render",
    "certificates": ".deploy.certificates",
    "versions": ".rollout.versions",
    "canary": ".rollout.label_commands",
    "promote": ".rollout.label_commands",
    "rollback": ".rollout.label_commands",
}
# Packages of an extra, by the names that are imported.
_EXTRAS = {
    "engine": ("tensorflow", "grpc_health"),
    "ops": (
        *("grpc", "google", "rich", "ruamel"),
        *("jsonschema", "check_jsonschema", "kubernetes_validate", "cryptography"),
    ),
}


def main(argv: Sequence[str] | None = None, prog: str = "python -m serving_config") -> int:
    """Run one subcommand; 0 when it worked, 1 with a line on stderr when not, 130 after Ctrl-C."""
    words = sys.argv[1:] if argv is None else argv
    typed = words[0] if words and words[0] in COMMANDS else None
    try:
        args = _parsed(words, [typed] if typed else list(COMMANDS), prog)
        code = int(args.run(args))
        if sys.stdout:  # none where the caller closed it
            sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # as in `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if "--debug" in words:
            traceback.print_exc()
        else:
            print(f"error: {_line(error)}", file=sys.stderr)
        return 1


def _parsed(words: Sequence[str], names: Sequence[str], prog: str) -> argparse.Namespace:
    top = argparse.ArgumentParser(
        prog=prog,
        description="Serve exported models over gRPC, and look after the server's configuration.",
        epilog="`%(prog)s COMMAND --help` explains one command.",
    )
    subparsers = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    add = functools.partial(subparsers.add_parser, formatter_class=argparse.RawDescriptionHelpFormatter)
    for module in dict.fromkeys(COMMANDS[name] for name in names):
        importlib.import_module(module, __package__).add_parser(add)
    for subparser in subparsers.choices.values():
        subparser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    args, unknown = top.parse_known_args(words)
    if unknown:  # refused with the usage of the command, not with that of all commands
        subparsers.choices[args.command].error(f"unrecognized arguments: {' '.join(unknown)}")
    return args


def _line(error: Exception) -> str:
    if isinstance(error, ServingConfigError):
        return str(error)
    if isinstance(error, ModuleNotFoundError):
        package = (error.name or "").partition(".")[0]
        for extra, packages in _EXTRAS.items():
            if package in packages:
                missing = "protobuf" if package == "google" else package
                return f"{missing} is not installed: pip install '.[{extra}]' in the clone"
    return f"{type(error).__name__}: {' '.join(str(error).split())} (--debug shows where)"
