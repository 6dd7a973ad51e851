"""`python -m serving_config up`: serve models in the foreground until Ctrl-C or SIGTERM."""

import argparse
import contextlib
import math
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from ..engine.admission import places
from ..errors import ServingConfigError
from ..paths import path_argument
from ..server import models_config, ports
from ..server.protocol import ModelServerConfig
from ..server.translation import known
from . import child, engine_choice, exposure, server_command

_DESCRIPTION = """\
Serve models over gRPC in the foreground until Ctrl-C or SIGTERM. With neither --models-config nor --model,
every folder models/NAME with a numbered version in it is served as NAME: its newest version, and a newer one as
soon as it appears. With --models-config, the file says which versions are served. Once every model answers, a line
'ready: NAME version N on HOST:PORT' is printed for each version.

engines:
  binary    tensorflow_model_server from PATH; it listens on every interface of the machine
  docker    the image tensorflow/serving, published on --host alone
  embedded  a small server in this process, for laptops, tests and CI, not for production
  auto      the first of these that this machine has (default)"""
_EPILOG = """\
examples:
  %(prog)s
  %(prog)s --engine docker --models-config serving_config/models.config
  %(prog)s --model vgg_16=models/vgg_16 --port 0 --json"""

_MOST_SECONDS = 2**31 - 1  # TensorFlow Serving reads them as an int32


def add_parser(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the `up` subcommand."""
    parser = add(
        "up", help="serve models in the foreground until Ctrl-C", description=_DESCRIPTION, epilog=_EPILOG
    )
    parser.add_argument("--engine", choices=engine_choice.ENGINES, default="auto", help="what serves")
    _add_models(parser)
    _add_serving(parser)
    parser.add_argument("--print-command", action="store_true", help="print what would be run, and end")
    parser.add_argument("--json", action="store_true", help="print the ready line as one JSON object")
    parser.set_defaults(run=run)


def _add_models(parser: argparse.ArgumentParser) -> None:
    models = parser.add_mutually_exclusive_group()
    models.add_argument(
        "--models-config", type=path_argument, metavar="FILE", help="a models.config text proto"
    )
    models.add_argument(
        "--model",
        action="append",
        type=_name_and_folder,
        metavar="NAME=DIR",
        help="serve the newest version in DIR as NAME, also one that appears later; may be repeated",
    )
    parser.add_argument(
        "--models-root",
        type=path_argument,
        default=models_config.MODELS,
        metavar="FOLDER",
        help="where models are looked for, and what base paths under /models stand for on this machine "
        "(default: models)",
    )


def _add_serving(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--host", default="127.0.0.1", help="the address to bind (default: this machine only)"
    )
    parser.add_argument("--port", type=int, default=8500, help="0 picks a free one (default: 8500)")
    parser.add_argument(
        "--ssl-config", type=path_argument, metavar="FILE", help="an SSLConfig text proto: serve TLS"
    )
    parser.add_argument(
        "--tensor-content",
        action=argparse.BooleanOptionalAction,
        help="answer with raw bytes in tensor_content instead of typed fields: faster for large outputs "
        "(default: yes for docker and binary; no for embedded, as TensorFlow Serving's own default)",
    )
    parser.add_argument(
        "--file-system-poll-seconds",
        type=_seconds,
        default=1.0,
        metavar="S",
        help="how often to look for new versions; 0 for once, at start (default: 1)",
    )
    parser.add_argument(
        "--threads",
        type=_positive,
        default=0,
        metavar="N",
        help="TensorFlow threads within one operation (default: one per core)",
    )
    parser.add_argument(
        "--max-requests",
        type=_positive,
        metavar="N",
        help="how many predictions run at once; others wait, up to their deadlines (default: one per core)",
    )
    parser.add_argument(
        "--max-queue",
        type=_not_negative,
        metavar="N",
        help="how many wait; more are refused with RESOURCE_EXHAUSTED (default: 16 for each that may run). "
        "TensorFlow Serving has no queue: it runs these at once as well",
    )
    parser.add_argument(
        "--image", default=server_command.IMAGE, help="docker: the image (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Serve; 0 after Ctrl-C or SIGTERM."""
    config = requested_models(args)
    engine, reason = engine_choice.choose(args.engine)
    if args.engine == "auto":
        print(f"engine: {engine} ({reason})", file=sys.stderr)
    if engine == "embedded":
        return _serve_embedded(config, args)
    models_config.check_on_disk(config, args.models_root)
    launch = _launch(config, args, own_paths=engine == "binary")
    clean_up: list[str] = []
    if engine == "docker":
        command = server_command.docker(launch)
        clean_up = ["docker", "kill", server_command.container(launch)]
    else:
        command = server_command.binary(launch, engine_choice.program())
    if args.print_command:
        print(shlex.join(command))
        return 0
    ports.check_free(launch.host, launch.port)
    exposure.warn(engine, args.host, encrypted=args.ssl_config is not None)
    translated = known(launch.port, args.models_root) if launch.config != config else contextlib.nullcontext()
    with translated:
        return child.serve(command, engine, launch, clean_up, args.json)


def requested_models(args: argparse.Namespace) -> ModelServerConfig:
    """The models that the arguments ask for."""
    if args.models_config:
        return models_config.read(args.models_config)
    pairs = args.model or models_config.discover(args.models_root)
    for name, folder in pairs:
        if not folder.is_dir():
            raise ServingConfigError(f"--model {name}={folder}: no such folder; export a model into it first")
    return models_config.from_folders(pairs)


def _serve_embedded(config: ModelServerConfig, args: argparse.Namespace) -> int:
    models_config.check_on_disk(config, args.models_root, remote_allowed=False)
    if args.print_command:
        words = [word for word in sys.argv[1:] if word != "--print-command"]
        room = str(__package__).removesuffix(".up")
        print(shlex.join([sys.executable, "-m", room, *words]))
        return 0
    ports.check_free(args.host, args.port)
    exposure.warn("embedded", args.host, encrypted=args.ssl_config is not None)
    # TensorFlow takes seconds to import; a mistake in the arguments should not.
    from ..engine import tensorflow_import

    tensorflow_import.import_quietly()
    from . import embedded

    return embedded.serve(config, args)


def _launch(config: ModelServerConfig, args: argparse.Namespace, own_paths: bool) -> server_command.Launch:
    """With `own_paths`, the server has this machine's paths in the place of those below /models."""
    file = args.models_config
    if own_paths:
        translated = models_config.translated(config, args.models_root)
        file, config = (file, config) if translated == config else (None, translated)
    return server_command.Launch(
        config=config,
        config_file=(file or server_command.generated_config(config)).resolve(),
        host=args.host,
        port=args.port or ports.free(args.host),
        tensor_content=args.tensor_content is not False,
        poll_seconds=args.file_system_poll_seconds,
        calls=sum(places(args.max_requests, args.max_queue)),
        threads=args.threads,
        ssl_config=args.ssl_config.resolve() if args.ssl_config else None,
        models_root=args.models_root,
        image=args.image,
    )


def _name_and_folder(text: str) -> tuple[str, Path]:
    name, separator, folder = text.partition("=")
    if not (name and separator and folder):
        raise argparse.ArgumentTypeError(f"{text!r}: write NAME=DIR, as in vgg_16=models/vgg_16")
    return name, path_argument(folder)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= _MOST_SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r}: seconds, from 0 to {_MOST_SECONDS}")
    return seconds


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: a whole number from 1 up")
    return int(text)


def _not_negative(text: str) -> int:
    return 0 if text == "0" else _positive(text)
