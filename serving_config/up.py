"""`python -m serving_config up`: serve models in the foreground until Ctrl-C or SIGTERM."""

import argparse
from pathlib import Path

from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from serving_config import models_config
from serving_config.errors import ServingConfigError

MODELS = Path("models")


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the `up` subcommand."""
    parser = subparsers.add_parser(
        "up",
        help="serve models in the foreground until Ctrl-C",
        description="Serve models over gRPC in the foreground until Ctrl-C or SIGTERM. With neither "
        "--models-config nor --model, every folder models/NAME with a numbered version in it is served as "
        "NAME. Once every model answers, a line 'ready: NAME version N on HOST:PORT' is printed for each.",
    )
    models = parser.add_mutually_exclusive_group()
    models.add_argument("--models-config", type=Path, metavar="FILE", help="a models.config text proto")
    models.add_argument(
        "--model",
        action="append",
        type=_name_and_folder,
        metavar="NAME=DIR",
        help="serve the newest version in DIR as NAME; may be repeated",
    )
    parser.add_argument("--engine", choices=["embedded"], default="embedded", help="what serves")
    parser.add_argument(
        "--host", default="127.0.0.1", help="the address to bind (default: this machine only)"
    )
    parser.add_argument("--port", type=int, default=8500, help="0 picks a free one (default: 8500)")
    parser.add_argument(
        "--tensor-content",
        action="store_true",
        help="answer with raw bytes in tensor_content instead of typed fields: faster for large outputs",
    )
    parser.add_argument(
        "--file-system-poll-seconds",
        type=float,
        default=1.0,
        metavar="S",
        help="how often to look for new versions; 0 for never (default: 1)",
    )
    parser.add_argument(
        "--threads",
        type=int,
        default=0,
        metavar="N",
        help="TensorFlow threads within one operation (default: one per core)",
    )
    parser.add_argument(
        "--max-requests",
        type=_positive,
        metavar="N",
        help="how many predictions run at once; others wait, up to their deadlines (default: no bound)",
    )
    parser.add_argument("--json", action="store_true", help="print the ready line as one JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serve; 0 after Ctrl-C or SIGTERM."""
    config = requested_models(args)
    # TensorFlow takes seconds to import, a mistake in the arguments should not.
    from serving_config.engine import foreground

    foreground.serve(config, args)


def requested_models(args: argparse.Namespace) -> ModelServerConfig:
    """The models that the arguments ask for."""
    if args.models_config:
        return models_config.read(args.models_config)
    pairs = args.model or models_config.discover(MODELS)
    for name, folder in pairs:
        if not folder.is_dir():
            raise ServingConfigError(f"--model {name}={folder}: no such folder; export a model into it first")
    return models_config.from_folders(pairs)


def _name_and_folder(text: str) -> tuple[str, Path]:
    name, separator, folder = text.partition("=")
    if not (name and separator and folder):
        raise argparse.ArgumentTypeError(f"{text!r}: write NAME=DIR, as in vgg_16=models/vgg_16")
    return name, Path(folder)


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: a whole number from 1 up")
    return int(text)
