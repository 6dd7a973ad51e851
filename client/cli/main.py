"""Arguments, errors and exit codes of the client's verbs."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from typing import Any

from .. import ServingError, Unavailable
from . import display
from .connection import connect
from .files import path_argument
from .verbs import bench, classify, segment, server
from .verbs.evaluate import command as evaluate

_EPILOG = """\
examples:
  %(prog)s classify cat.jpg dogs/
  %(prog)s segment street.jpg -o out --label-map
  %(prog)s segment photos/ -o out --report out/report.html
  %(prog)s segment aerial.png -o out --tile 1024
  %(prog)s evaluate photos/ --truth classes.csv --report report.html
  %(prog)s classify photos/ --json > answers.jsonl
  %(prog)s status --server gpu1:8500 --model vgg_16
  %(prog)s segment street.jpg -o out --server vgg.example:443 --tls-ca ca.pem --token-file token.txt

A folder is searched for JPEG, PNG, GIF, BMP and WebP files, whatever they are called, its subfolders too.
With --json the answer is one JSON object a line, one for each image. `segment` over several images that is
stopped, or run again, does those that are left, have changed, or were done by another server or version of the model.

exit codes: 0 all answered, 1 an error, 2 wrong usage, 130 Ctrl-C"""


def main(argv: Sequence[str] | None = None, prog: str = "python -m client") -> int:
    """Run one command; return the exit code."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by who called, as by `>&-`
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - to the end of the process
    options = _parsed(argv, prog)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file name need not be text
    try:
        if not options.json:
            display.require_rich()
        with connect(options) as client:
            return int(options.run(client, options))
    except KeyboardInterrupt as stop:
        display.show_notes(str(stop) or "stopped")
        return 130
    except BrokenPipeError:  # as in `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ServingError, OSError) as error:
        if options.debug:
            raise
        words = str(error)
        if isinstance(error, Unavailable):
            words += "; is the server running, and --server right?"
        if isinstance(error, OSError) and error.filename is not None:  # whose own words begin with a number
            words = f"{error.filename}: {error.strerror}"
        display.show_notes(f"error: {words}")
        return 1


def _parsed(argv: Sequence[str] | None, prog: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Classify and segment images by a model on a TensorFlow Serving.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    common = _common()
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name: str, text: str) -> argparse.ArgumentParser:
        description = f"{text[:1].upper()}{text[1:]}."
        return commands.add_parser(name, parents=[common], help=text, description=description)

    for module in (classify, segment, evaluate, server, bench):
        module.add_parsers(add)
    options, unknown = parser.parse_known_args(argv)
    if unknown:  # refused with the usage of the command, not with that of all commands
        commands.choices[options.command].error(f"unrecognized arguments: {' '.join(unknown)}")
    return options


def _common() -> argparse.ArgumentParser:
    """Options that every command has."""
    common = argparse.ArgumentParser(add_help=False)
    group = common.add_argument_group("server")
    version = group.add_mutually_exclusive_group()

    def option(name: str, metavar: str, text: str, /, to: Any = group, **others: Any) -> None:
        to.add_argument(name, metavar=metavar, help=text, **others)

    several = "or several with commas between, or dns:///NAME:PORT for all addresses of a name (%(default)s)"
    option("--server", "HOST:PORT", several, default="localhost:8500")
    option("--model", "NAME", "the model's name there (%(default)s)", default="vgg_16")
    option("--version", "N", "ask this version, not the newest", to=version, type=int)
    option("--version-label", "LABEL", "ask the version with this label, such as stable", to=version)
    option("--timeout", "SECONDS", "deadline of each request (%(default)s)", type=float, default=60.0)
    unreachable = "give up so soon where no server answers at all (%(default)s)"
    option("--connect-timeout", "SECONDS", unreachable, type=float, default=3.0)
    group.add_argument("--tls", action="store_true", help="use TLS, trusting the usual authorities")
    option("--tls-ca", "FILE", "use TLS, trusting this CA certificate (PEM)", type=path_argument)
    option("--tls-cert", "FILE", "the client's certificate, for mutual TLS (PEM)", type=path_argument)
    option("--tls-key", "FILE", "the key of the client's certificate (PEM)", type=path_argument)
    option("--tls-server-name", "NAME", "the name in the server's certificate")
    option("--token-file", "FILE", "send the bearer token in this file", type=path_argument)
    group.add_argument("--compression", choices=["gzip", "deflate"], help="compress requests")
    common.add_argument("--json", action="store_true", help="write JSON, one object a line")
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return common
