"""slimserve.yaml, the wanted state of a deployment: what it may say."""

import hashlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
from google.protobuf import text_format
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ...server import protocol
from ..finding import Finding, joined
from . import misfits
from .yaml_file import Document

FILE = "slimserve.yaml"
RECORD = ".rendered.json"
"""Beside it, what was rendered last."""
PATCHES = "patches"
"""The folder of the operator's own patches."""
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
    record = rendered(folder)
    if not record:
        message = "whether the files beside it are as they were rendered is not known"
        yield document.fault(message, f"{RECORD} is not there, or not readable").as_note()
    for name, digest in record.get("files", {}).items():
        path = folder / name
        if not path.is_file():
            yield Finding(path, 0, "it was rendered, and is gone", "run `render` again")
            continue
        text = path.read_bytes().decode("utf-8", "replace")
        known = record.get("meanings", {}).get(name)
        if text_hash(text) == digest:
            continue
        if name not in EDITED:
            advice = f"change {FILE}, or use docker-compose.override.yml or patches/"
            yield Finding(path, 0, "it is not as it was rendered", advice)
        elif known == meaning(name, text):
            continue
        elif name == FILE:
            message = "it was changed, and the other files were not made anew"
            yield Finding(path, 0, message, "run `render`")
        elif known is not None:
            advice = "change that, for `render` writes this anew"
            yield Finding(path, 0, f"it says something else than {FILE}", advice)
    yield from _new_patches(folder, record)


def _new_patches(folder: Path, record: dict[str, Any]) -> Iterator[Finding]:
    """Patches that were written since."""
    kustomization = folder / "kustomization.yaml"
    if "kustomization.yaml" not in record.get("files", {}) or not kustomization.is_file():
        return
    text = kustomization.read_text("utf-8", "replace")
    for path in sorted((folder / PATCHES).glob("*.yaml")):
        if f"{PATCHES}/{path.name}" not in text:
            yield Finding(path, 0, "it is no part of the kustomization yet", "run `render`")


def text_hash(text: str) -> str:
    """Of a file's text, whose line ends may be those of another system."""
    return hashlib.sha256(text.replace("\r\n", "\n").encode()).hexdigest()


def meaning(name: str, text: str) -> str | None:
    """A hash of what a file says, whatever its comments and blanks; None where it cannot be read."""
    try:
        if name == FILE:
            return text_hash(json.dumps(YAML(typ="safe").load(text), sort_keys=True))
        return text_hash(text_format.MessageToString(text_format.Parse(text, protocol.ModelServerConfig())))
    except (YAMLError, text_format.ParseError, TypeError, ValueError):
        return None


def rendered(folder: Path) -> dict[str, Any]:
    """What was rendered last into a folder: `files`, their hashes by name, `meanings`, the hashes of what some of them
    say, and `plan`; empty where it is not known.
    """
    try:
        found = json.loads((folder / RECORD).read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    parts = [found.get(key, {}) for key in ("files", "meanings", "plan")]
    return found if all(isinstance(part, dict) for part in parts) else {}


def _schema_findings(document: Document) -> Iterator[Finding]:
    for error in _validator().iter_errors(document.data):
        deepest = jsonschema.exceptions.best_match([error])
        yield from misfits.findings(document, deepest, "see docs/deploying/state.md")


@cache
def _validator() -> Any:
    schema = json.loads(Path(__file__).with_name("wanted_state.schema.json").read_text("utf-8"))
    return jsonschema.Draft202012Validator(schema)
