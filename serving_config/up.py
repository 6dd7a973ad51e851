"""`python -m serving_config up`: serve models in the foreground until Ctrl-C or SIGTERM."""

import argparse


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the `up` subcommand."""
    parser = subparsers.add_parser("up", help="serve models in the foreground until Ctrl-C")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serve; 0 after Ctrl-C or SIGTERM."""
    raise NotImplementedError
