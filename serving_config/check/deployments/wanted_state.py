"""slimserve.yaml, the wanted state of a deployment: what it may say."""

import hashlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

from ..finding import Finding, joined
from .yaml_file import Document

FILE = "slimserve.yaml"
RECORD = ".rendered.json"
"""Beside it, what was rendered last."""
EDITED = (FILE, "models.config")
"""Files that keep what was written into them by hand."""


def is_wanted_state(document: Document) -> bool:
    """Whether the document is a deployment's wanted state."""
    return document.path.name == FILE


def findings(document: Document) -> Iterator[Finding]:
    """Where the file departs from its schema, and labels on versions that are not loaded."""
    faults = list(_schema_findings(document))
    yield from faults
    if faults:
        return
    for name, model in document.data["models"].items():
        for label, version in model["labels"].items():
            if version not in model["versions"]:
                message = f"the label {label} of {name} is on version {version}, which is not loaded"
                advice = f"add it to versions, or move the label to {joined(model['versions'], 'or')}"
                yield document.fault(message, advice, "models", name, "labels", label)


def drift(document: Document) -> Iterator[Finding]:
    """Where the folder is not what was rendered from the file."""
    folder = document.path.parent
    for name, digest in rendered(folder).get("files", {}).items():
        path = folder / name
        if not path.is_file():
            yield Finding(path, 0, "it was rendered, and is gone", "run `render` again")
        elif hashlib.sha256(path.read_bytes()).hexdigest() == digest:
            continue
        elif name == FILE:
            yield Finding(path, 0, "it was changed, and the other files were not made anew", "run `render`")
        elif name not in EDITED:
            advice = f"change {FILE}, or use docker-compose.override.yml or patches/"
            yield Finding(path, 0, "it is not as it was rendered", advice)


def rendered(folder: Path) -> dict[str, Any]:
    """What was rendered last into a folder: `files`, their hashes by name, and `plan`; empty where it is not known."""
    try:
        found = json.loads((folder / RECORD).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _schema_findings(document: Document) -> Iterator[Finding]:
    for error in _validator().iter_errors(document.data):
        deepest = jsonschema.exceptions.best_match([error])
        where = ".".join(str(part) for part in deepest.absolute_path) or "the file"
        message = f"{where}: {deepest.message[:200]}"
        yield document.fault(message, "see docs/deploying/state.md", *deepest.absolute_path)


@cache
def _validator() -> Any:
    schema = json.loads(Path(__file__).with_name("wanted_state.schema.json").read_text("utf-8"))
    return jsonschema.Draft202012Validator(schema)
