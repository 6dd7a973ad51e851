"""`status` and `metadata`: what the server has."""

from __future__ import annotations

import argparse
import dataclasses

from ... import Client
from .. import display
from ..each_image import AddParser


def add_parsers(add: AddParser) -> None:
    """Add both commands."""
    add("status", "show the model's versions and their states").set_defaults(run=status)
    text = "show the model's signatures: names, types and shapes of inputs and outputs"
    add("metadata", text).set_defaults(run=metadata)


def status(client: Client, options: argparse.Namespace) -> int:
    """Print the versions; exit code 1 when none is available."""
    versions = client.status()
    if options.json:
        for version in versions:
            display.show_json(dataclasses.asdict(version))
    else:
        rows = ([str(version.version), version.state, version.error_message] for version in versions)
        display.show_table(["version", "state", "error"], rows, options.model)
    return 0 if any(version.state == "AVAILABLE" for version in versions) else 1


def metadata(client: Client, options: argparse.Namespace) -> int:
    """Print the signatures."""
    model = client.metadata()
    if options.json:
        display.show_json(dataclasses.asdict(model))
        return 0
    rows = []
    for name, signature in model.signatures.items():
        for side, tensors in (("in", signature.inputs), ("out", signature.outputs)):
            for tensor, spec in tensors.items():
                rows.append([name, side, tensor, str(spec)])
                name = ""
    display.show_table(
        ["signature", "", "tensor", "type and shape"],
        rows,
        f"{model.name}, version {model.version}{model.prepared}",
    )
    return 0
