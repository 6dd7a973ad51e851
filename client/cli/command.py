"""The command `slimserve`: the verbs of all three rooms, each run by the room that it belongs to.

The rooms do not import each other. A verb names the module of its command line, which is imported when the verb is
typed, so that `slimserve classify` never waits for TensorFlow and works where only the client is installed.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

_DESCRIPTION = "Turn a slim checkpoint into a SavedModel, serve it over gRPC, and call it."


class _Room(NamedTuple):
    """What one room can do.

    Attributes:
        title: a heading for the list of verbs.
        module: where `main(argv, prog)` stands, relative to this package.
        verbs: what each verb does, in a line.
    """

    title: str
    module: str
    verbs: Mapping[str, str]


ROOMS = (
    _Room(
        "export (needs slimserve[export]):",
        "..export.cli",
        {"export": "turn a slim checkpoint into a SavedModel"},
    ),
    _Room(
        "serve (needs slimserve[ops]; up with the server that comes along needs slimserve[engine]):",
        "..serving_config.cli",
        {
            "up": "serve models in the foreground",
            "check": "find faults in the files of a deployment",
            "render": "write a deployment for Docker or Kubernetes",
            "certificates": "make certificates for a trial of TLS",
            "versions": "show which versions are on disk and which are served",
            "canary": "put a version on trial beside the stable one",
            "promote": "make a version the stable one",
            "rollback": "make the version before the stable one again",
        },
    ),
    _Room(
        "call a server (tables and pictures need slimserve[images]):",
        ".main",
        {
            "classify": "rank the classes of images",
            "segment": "label every pixel of images",
            "evaluate": "judge the answers for images whose true answers are known",
            "status": "show the versions of a model and their states",
            "metadata": "show what a model takes and gives",
            "bench": "measure how long a server takes to answer",
        },
    ),
)


def main(argv: Sequence[str] | None = None, prog: str = "slimserve") -> int:
    """Run the verb that was typed; return its exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    verb = _parser(prog).parse_args(words[:1]).verb
    room = next(room for room in ROOMS if verb in room.verbs)
    run = importlib.import_module(room.module, __package__).main
    if list(room.verbs) == [verb]:  # the room has one command, which takes the verb's arguments alone
        return int(run(words[1:], prog=f"{prog} {verb}"))
    return int(run(words, prog=prog))


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        usage="%(prog)s VERB ...",
        description=_DESCRIPTION,
        epilog=_list_of_verbs(prog),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    version = f"slimserve {importlib.metadata.version('slimserve')}"
    parser.add_argument("--version", action="version", version=version)
    verbs = [verb for room in ROOMS for verb in room.verbs]
    parser.add_argument("verb", choices=verbs, metavar="VERB", help=argparse.SUPPRESS)
    return parser


def _list_of_verbs(prog: str) -> str:
    lines = []
    for room in ROOMS:
        lines += [room.title, *(f"  {verb:<14}{text}" for verb, text in room.verbs.items()), ""]
    lines += [
        f"`{prog} VERB --help` explains a verb.",
        "What a verb needs is installed by: pip install '.[NEEDED]' in the clone",
    ]
    return "\n".join(lines)
