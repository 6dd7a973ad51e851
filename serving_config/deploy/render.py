"""`python -m serving_config render`: its arguments, and what it prints."""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from ..check import inspection
from ..check.finding import Result, shorten
from ..check.servers import images
from ..errors import ServingConfigError
from ..paths import path_argument
from . import files as deployment_files
from .changes import Changes, changes
from .plan import STOCK_IMAGE, Claim, model, versions
from .wanted import Wanted

_DESCRIPTION = """\
Writes a deployment from the files shipped in serving_config/, which are what it writes for vgg_16 with the
defaults, and checks what it wrote. What is wanted stands in slimserve.yaml beside the files. Where that is there, an
option changes what it names and nothing else; the difference is shown and written after a yes."""
_EPILOG = """\
examples:
  %(prog)s --model vgg_16=models/vgg_16 --for docker
  %(prog)s --replicas 4 --cpu 4 --memory 8Gi
  %(prog)s --for kubernetes --built-image registry.example/vgg-16
  %(prog)s                     after a change of slimserve.yaml by hand

Of a new model's versions, the lowest gets the label `stable` and the highest `canary`."""
_PLAIN = "name replicas image built_image cpu memory gpus batching baked monitoring copy_from kserve"
"""Options that slimserve.yaml has as they are given."""
_LEAST_RELEASE = (2, 19)
"""Of TensorFlow Serving, which the flags of the shipped files need."""


def add_parser(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the `render` subcommand."""
    parser = add(
        "render",
        help="write a Docker or Kubernetes deployment, or change one",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    option = parser.add_argument
    option("--out", type=path_argument, default=Path("deploy"), metavar="FOLDER", help="default: %(default)s")
    option(
        "--model",
        action="append",
        default=[],
        metavar="NAME=DIR",
        help="a model and the folder of its versions; one of a new name is added",
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
        default=[],
        help="what to write; added to what is written already",
    )
    _add_sizes(option)
    _add_where_models_lie(option)
    option("--tls-key", type=path_argument, metavar="FILE", help="TLS: the server's private key, PEM")
    option(
        "--tls-cert",
        type=path_argument,
        metavar="FILE",
        help="TLS: the server's certificate and its intermediates, PEM",
    )
    option(
        "--client-ca",
        type=path_argument,
        metavar="FILE",
        help="mutual TLS: the authority of the callers' certificates, PEM",
    )
    option("--no-tls", action="store_true", help="plaintext again")
    option("--yes", action="store_true", help="write the difference without asking")
    option("--force", action="store_true", help="also where it loses something or replaces what is yours")
    option("--json", action="store_true", help="print one JSON object instead of lines")
    parser.set_defaults(run=run)


def _add_sizes(option: Callable[..., argparse.Action]) -> None:
    option("--name", help="name of the deployment; default: serving")
    option(
        "--replicas",
        type=int,
        help="least number of replicas on Kubernetes; up to 3 times as many; default: 2",
    )
    option("--image", help=f"the server's image; default: {STOCK_IMAGE}")
    option("--cpu", help="CPU limit of a replica, also its threads; default: 2")
    option(
        "--memory",
        help="memory limit of a replica, in Mi or Gi, which also limits its calls at once; default: room for 2 "
        "versions of each model and 8 calls for each CPU, at least 6Gi",
    )
    option("--gpus", type=int, metavar="N", help="NVIDIA GPUs of a replica; needs --image")
    option(
        "--batching",
        action=argparse.BooleanOptionalAction,
        help="turn server-side batching on (read batching.config first)",
    )

    option(
        "--monitoring",
        action=argparse.BooleanOptionalAction,
        help="rules for Prometheus and a dashboard for Grafana; both in a compose profile, and for the Prometheus "
        "Operator on Kubernetes",
    )


def _add_where_models_lie(option: Callable[..., argparse.Action]) -> None:
    option(
        "--kserve",
        action=argparse.BooleanOptionalAction,
        help="on Kubernetes, an InferenceService of KServe in the place of the Deployment and the autoscaler",
    )
    option(
        "--built-image",
        metavar="IMAGE",
        help="the image that the Dockerfile makes, which holds the models on Kubernetes; without a tag, the versions "
        "are its tag; default: NAME-models",
    )
    option(
        "--baked",
        action=argparse.BooleanOptionalAction,
        help="Docker runs that image too, and mounts no folder",
    )
    option(
        "--claim",
        action=argparse.BooleanOptionalAction,
        help="Kubernetes: the models lie on a volume, not in the image",
    )
    option(
        "--copy-from",
        metavar="s3://BUCKET/FOLDER",
        help="Kubernetes: each pod copies the models NAME/VERSION from this object store (s3, gs, az) before it starts",
    )
    option("--storage-class", metavar="CLASS", help="of the claim: one that several nodes can mount")
    option(
        "--access-mode",
        choices=["ReadWriteMany", "ReadOnlyMany"],
        help="of the claim; default: ReadWriteMany",
    )
    option("--size", metavar="10Gi", help="of the claim; default: 10Gi")


def run(args: argparse.Namespace) -> int:
    """Render; 0 when what was written has no fault, 1 otherwise.

    Raises:
        ServingConfigError: the arguments do not fit together, the folder cannot be written, or the difference is not
            wanted.
    """
    _refuse_images(args)
    wanted = Wanted(args.out)
    _change(wanted, args)
    plan = wanted.plan()
    if plan.warning:
        print(f"warning: {plan.warning}", file=sys.stderr)
    for each in plan.models:
        if not each.folder.is_dir():
            print(f"note: {each.folder}, the folder of {each.name}, is not on this machine", file=sys.stderr)
    found = changes(wanted, plan)
    if found.there and not args.json and not wanted.is_new:
        print(found.difference() or "nothing changes")
    found.confirm(args.yes, args.force)
    found.write()
    result = inspection.inspect([args.out], models_root=None, model_configs=[])
    _print(args, found, result)
    return 1 if result.findings else 0


def _refuse_images(args: argparse.Namespace) -> None:
    """Refuse images with which the deployment would not do what it says.

    Raises:
        ServingConfigError: what a name means changes with time, or the server in it is too old for its flags.
    """
    for option, image in (("--image", args.image), ("--built-image", args.built_image)):
        # The image that is built gets a tag of its own.
        is_named = image and (option == "--image" or ":" in image.rpartition("/")[2])
        if is_named and images.moves(image):
            raise ServingConfigError(f"{option} {image}: it would change under you, name a version")
    release = images.release(args.image or "")
    if release and release < _LEAST_RELEASE:
        least = ".".join(map(str, _LEAST_RELEASE))
        raise ServingConfigError(
            f"--image {args.image}: the deployment sets flags that TensorFlow Serving has since {least}: take "
            f"{least}.0 or later"
        )


def _change(wanted: Wanted, args: argparse.Namespace) -> None:
    """Change in the wanted state what the options name."""
    if wanted.is_new and not (args.model and args.targets):
        raise ServingConfigError(
            f"{wanted.path} is not there: a new deployment needs --model NAME=DIR and --for docker or kubernetes"
        )
    names = list(dict.fromkeys([*wanted.model_names, *(text.partition("=")[0] for text in args.model)]))
    chosen = versions(args.versions, names)
    for text in args.model:
        name = text.partition("=")[0]
        known = tuple(wanted.versions(name)) if name in wanted.model_names else ()
        wanted.set_model(model(text, chosen.get(name, known)))
    if len(args.model) > len({text.partition("=")[0] for text in args.model}):
        raise ServingConfigError("two models have the same name: give each --model its own NAME")
    for name, numbers in chosen.items():
        added = model(f"{name}={wanted.folder(name)}", numbers)
        labels = {k: v for k, v in wanted.labels(name).items() if v in numbers}
        wanted.set_versions(name, added.versions, {**added.labels, **labels})
    wanted.add_targets(args.targets)
    for key in _PLAIN.split():
        if getattr(args, key) is not None:
            wanted.set(key, getattr(args, key))
    _change_claim(wanted, args)
    _change_tls(wanted, args)


def _change_claim(wanted: Wanted, args: argparse.Namespace) -> None:
    given = {key: getattr(args, key) for key in ("storage_class", "access_mode", "size")}
    given = {key: value for key, value in given.items() if value is not None}
    if args.claim is False:
        wanted.set("claim", None)
    elif args.claim or given:
        there = wanted.plan().claim or Claim()
        fields = {key: value for key, value in asdict(there).items() if value is not None}
        wanted.set("claim", {**fields, **given})


def _change_tls(wanted: Wanted, args: argparse.Namespace) -> None:
    if args.no_tls:
        wanted.set("tls", None)
    elif args.tls_key or args.tls_cert or args.client_ca:
        if not (args.tls_key and args.tls_cert):
            raise ServingConfigError("TLS needs both --tls-key and --tls-cert")
        wanted.set_tls(args.tls_key, args.tls_cert, args.client_ca)


def _print(args: argparse.Namespace, found: Changes, result: Result) -> None:
    following = deployment_files.next_commands(args.out, found.plan, found.wanted.targets)
    if args.json:
        record = {
            "folder": str(args.out),
            "files": sorted(found.files),
            "difference": found.difference(),
            "findings": [str(finding) for finding in result.findings],
            "next": following,
        }
        print(json.dumps(record, indent=2))
        return
    for name in found.changed:
        print(shorten(args.out / name) + (" (removed)" if name not in found.files else ""))
    for finding in result.findings:
        print(finding)
    for command in following:
        print(f"next: {command}")
