"""What a file is meant to be, where its name alone does not say it."""

import re
from collections.abc import Container
from pathlib import Path

from .configs import messages, text_proto
from .configs.text_proto import Node
from .deployments import yaml_file
from .deployments.docker import compose
from .finding import Finding

PREFIXES = {
    "models": "ModelServerConfig",
    "batching": "BatchingParameters",
    "monitoring": "MonitoringConfig",
    "ssl": "SSLConfig",
    "platform": "PlatformConfigMap",
}
UNKNOWN = "not a configuration of TensorFlow Serving that is known"


def unfinished(document: yaml_file.Document, keys: Container[str]) -> Finding | None:
    """What is wrong with a file that is meant as a compose file, or as an object of Kubernetes, if it is."""
    if "kind" in keys and ("spec" in keys or "metadata" in keys):
        return document.fault(
            "an object of Kubernetes without apiVersion", "add it, such as apiVersion: apps/v1", "kind"
        )
    if "apiVersion" in keys and "spec" in keys:
        return document.fault(
            "an object of Kubernetes without kind", "add it, such as kind: Deployment", "apiVersion"
        )
    names = ("services", "include", "volumes", "networks", "configs", "secrets")  # of what others complete
    if compose.NAME.fullmatch(document.path.name) and not any(name in keys for name in names):
        return Finding(document.path, 1, "a compose file without services", "begin it with services:")
    return None


def foreign(path: Path, line: int) -> Finding:
    """The note on a text that is somebody else's."""
    return Finding(path, line, UNKNOWN, "it was not checked", is_note=True)


def is_meant(name: str, text: str) -> bool:
    """Whether a file or a key is meant for TensorFlow Serving, by its name or by most of its fields.

    Triton's config.pbtxt has a field of the same name.
    """
    if name.startswith(tuple(PREFIXES)):
        return True
    fields = {field for message in PREFIXES.values() for field in messages.message(message).fields_by_name}
    root, _ = text_proto.read_text(text, Path(name))
    if root is None:
        return any(re.search(rf"\b{field}\b", text) for field in fields)
    return 2 * sum(node.name in fields for node in root.fields) > len(root.fields)


def message_name(path: Path, root: Node) -> str | None:
    """The message that a file of text format holds, by its name or by its fields; None where that is not known."""
    for prefix, name in PREFIXES.items():
        if path.name.startswith(prefix):
            return name
    known = {name: messages.message(name).fields_by_name for name in PREFIXES.values()}
    score = {name: sum(node.name in fields for node in root.fields) for name, fields in known.items()}
    best = max(score, key=lambda name: score[name])
    return best if score[best] else None
