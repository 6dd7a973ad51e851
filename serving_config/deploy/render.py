"""`python -m serving_config render`: its arguments, and what it prints."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from ..check import inspection
from ..check.finding import shorten
from ..errors import ServingConfigError
from ..tls import ServerTls
from . import compose_file, config_files, folder, image_build, manifests, templates
from .plan import STOCK_IMAGE, Plan, model, versions

_DESCRIPTION = """\
Writes a deployment for given models from the files shipped in serving_config/, which are what it writes for
vgg_16 with the defaults, and checks what it wrote."""
_EPILOG = """\
examples:
  %(prog)s --model vgg_16=models/vgg_16 --for docker --out deploy
  %(prog)s --model vgg_16=models/vgg_16 --versions 1,2 --replicas 4 --cpu 4 \\
      --memory 8Gi --for kubernetes --out deploy
  %(prog)s --model vgg_16=models/vgg_16 --baked --image registry.example/vgg-16:2 \\
      --for kubernetes --out deploy

Of the versions, the lowest gets the label `stable` and the highest `canary`."""


def add_parser(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the `render` subcommand."""
    parser = add(
        "render",
        help="write a Docker or Kubernetes deployment for given models",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    option = parser.add_argument
    option(
        "--model",
        action="append",
        required=True,
        metavar="NAME=DIR",
        help="a model and the folder of its versions",
    )
    option(
        "--versions",
        action="append",
        default=[],
        metavar="[NAME=]1,2",
        help="versions to load; default: the newest on disk",
    )
    option(
        "--for",
        dest="targets",
        nargs="+",
        choices=["docker", "kubernetes"],
        required=True,
        help="what to write",
    )
    option("--out", type=Path, required=True, metavar="FOLDER", help="the folder to write")
    option("--force", action="store_true", help="replace files that are there")
    option("--name", default="serving", help="name of the deployment; default: serving")
    option(
        "--replicas",
        type=int,
        default=2,
        help="least number of replicas on Kubernetes; up to 3 times as many; default: 2",
    )
    option("--image", default=STOCK_IMAGE, help=f"the server's image; default: {STOCK_IMAGE}")
    option("--baked", action="store_true", help="the image holds the models (Dockerfile): mount none")
    option("--gpus", type=int, default=0, metavar="N", help="NVIDIA GPUs of a replica; needs --image")
    option("--cpu", default="2", help="CPU limit of a replica, also its threads; default: 2")
    option(
        "--memory",
        help="memory limit of a replica, in Mi or Gi, which also limits its calls at once; default: room for 2 "
        "versions of each model and 8 calls for each CPU, at least 6Gi",
    )
    option(
        "--batching", action="store_true", help="turn server-side batching on (read batching.config first)"
    )
    option("--tls-key", type=Path, metavar="FILE", help="TLS: the server's private key, PEM")
    option(
        "--tls-cert",
        type=Path,
        metavar="FILE",
        help="TLS: the server's certificate and its intermediates, PEM",
    )
    option(
        "--client-ca",
        type=Path,
        metavar="FILE",
        help="mutual TLS: the authority of the callers' certificates, PEM",
    )
    option("--json", action="store_true", help="print one JSON object instead of lines")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Render; 0 when what was written has no fault, 1 otherwise.

    Raises:
        ServingConfigError: the arguments do not fit together, or the folder cannot be written.
    """
    plan = _plan(args)
    if plan.warning:
        print(f"warning: {plan.warning}", file=sys.stderr)
    files = _files(plan, args.out, args.targets)
    folder.write(args.out, files, private="tls", force=args.force)
    result = inspection.inspect([args.out], models_root=None, model_configs=[])
    _print(args, sorted(files), result)
    return 1 if result.findings else 0


def _plan(args: argparse.Namespace) -> Plan:
    names = [argument.partition("=")[0] for argument in args.model]
    wanted = versions(args.versions, names)
    models = tuple(model(text, wanted.get(name, ())) for text, name in zip(args.model, names, strict=True))
    return Plan(
        models=models,
        name=args.name,
        replicas=args.replicas,
        image=args.image,
        cpu=args.cpu,
        memory_asked=args.memory,
        baked=args.baked,
        gpus=args.gpus,
        batching=args.batching,
        tls=_tls(args),
    )


def _tls(args: argparse.Namespace) -> ServerTls | None:
    if not (args.tls_key or args.tls_cert or args.client_ca):
        return None
    if not (args.tls_key and args.tls_cert):
        raise ServingConfigError("TLS needs both --tls-key and --tls-cert")
    client_ca = _read(args.client_ca) if args.client_ca else None
    return ServerTls(_read(args.tls_key), _read(args.tls_cert), client_ca)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError as error:
        raise ServingConfigError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ServingConfigError(f"{path} is not PEM text: convert it, `openssl x509 -inform der`") from error


def _files(plan: Plan, out: Path, targets: list[str]) -> dict[str, str]:
    files = {
        "models.config": config_files.models_config(plan),
        "monitoring.config": templates.shipped("monitoring.config"),
    }
    if plan.batching:
        files["batching.config"] = config_files.batching_config(plan)
    if plan.tls:
        files["tls/ssl.config"] = config_files.ssl_config(plan.tls)
        files["tls/.gitignore"] = "*\n"
    if "docker" in targets:
        files["docker-compose.yml"] = compose_file.render(plan, out)
    if "kubernetes" in targets:
        files.update(manifests.render(plan, str(out)))
    if not plan.tls:  # a private key does not belong in an image
        files["Dockerfile"] = image_build.render(plan, str(out))
    return files


def _print(args: argparse.Namespace, files: list[str], result: inspection.Result) -> None:
    following = {
        "docker": f"docker compose --file {args.out / 'docker-compose.yml'} up --detach --wait",
        "kubernetes": f"kubectl apply --kustomize {args.out}",
    }
    if args.json:
        record = {
            "folder": str(args.out),
            "files": files,
            "findings": [str(finding) for finding in result.findings],
            "next": [following[target] for target in args.targets],
        }
        print(json.dumps(record, indent=2))
        return
    for name in files:
        print(shorten(args.out / name))
    for finding in result.findings:
        print(finding)
    for target in args.targets:
        print(f"next: {following[target]}")
