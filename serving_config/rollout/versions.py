"""`python -m serving_config versions`: what is on disk and what is served."""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table

from ..errors import ServingConfigError
from ..server import models_config
from ..server.api import ModelService, VersionStatus
from ..server.protocol import ModelConfig
from . import server_arguments
from .config_file import ConfigFile


@dataclass(frozen=True)
class Row:
    """One version.

    Attributes:
        state: the server's; empty where it has never seen the version.
        labels: those that the server answers to with this version.
        labels_in_file_only: those that the file gives it, and the server does not.
    """

    model: str
    version: int
    on_disk: bool
    state: str
    labels: list[str]
    labels_in_file_only: list[str]
    error: str


def add_parser(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the `versions` subcommand."""
    parser = add(
        "versions",
        help="list what is on disk and what is served",
        description="List the versions of every model in models.config: on disk, on the running server, and which "
        "of the file's labels they answer to.",
    )
    server_arguments.add_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """List; 0 also when nothing is served."""
    wanted = server_arguments.deployment(args)
    file = ConfigFile(server_arguments.config_file(args, wanted))
    root = server_arguments.models_root(args, wanted)
    models = [file.model(args.model)] if args.model else list(file.config.model_config_list.config)
    with server_arguments.connected(args) as services:
        for service in services:
            rows = [row for model in models for row in _rows(model, service, root)]
            if args.json:
                print(json.dumps({"server": service.address, "versions": [asdict(row) for row in rows]}))
            else:
                _print(rows, service.address if len(services) > 1 else None)
    return 0


def _rows(model: ModelConfig, service: ModelService, models_root: models_config.ModelsRoot) -> list[Row]:
    served = {status.version: status for status in service.versions(model.name)}
    try:
        folder = models_config.on_this_machine(model.base_path, models_root)
        on_disk = set(models_config.version_folders(folder))
    except ServingConfigError:
        on_disk = set()
    in_file = dict(sorted(model.version_labels.items()))
    on_server = {label: service.labelled(model.name, label) for label in in_file}
    rows = []
    for version in sorted({*served, *on_disk, *in_file.values()}, reverse=True):
        status = served.get(version, VersionStatus(version, ""))
        labels = [label for label, number in on_server.items() if number == version]
        file_only = [label for label, number in in_file.items() if number == version and label not in labels]
        rows.append(
            Row(model.name, version, version in on_disk, status.state, labels, file_only, status.error)
        )
    return rows


def _print(rows: list[Row], title: str | None) -> None:
    table = Table("model", "version", "on disk", "state", "labels", "error", title=title)
    for row in rows:
        error = " ".join(row.error.split())
        on_disk = "yes" if row.on_disk else "no"
        labels = ", ".join([*row.labels, *(f"{label} (file only)" for label in row.labels_in_file_only)])
        table.add_row(row.model, str(row.version), on_disk, row.state or "-", labels, error)
    Console().print(table)
    if any(row.state == "END" for row in rows):
        print(
            "END: unloaded, or not loaded at all where there is an error; `canary N` asks for it again",
            file=sys.stderr,
        )
