"""Which files are part of a deployment, and of what kind each is."""

import re
from collections.abc import Iterator
from pathlib import Path

# What `docker build -f` is given: Dockerfile, Dockerfile.gpu, dockerfile-dev, model.dockerfile, Containerfile; and
# what is called after it without being one.
_DOCKERFILE = re.compile(
    r"Dockerfile[._-].+|(?i:(?:docker|container)file(?:[._-][\w-]+)?|.+\.(?:docker|container)file)"
)
_NO_DOCKERFILE = (".dockerignore", ".md", ".py", ".sh", ".js", ".ts", ".go", ".rb")
_OTHERS = (
    *_NO_DOCKERFILE,
    ".json",
    ".service",
    ".container",
    ".nomad",
    ".hcl",
    ".tf",
    ".toml",
    ".env",
    ".pem",
)
"""Suffixes of what is not read: scripts, units, jobs and tasks of other programs."""
_OBJECT = re.compile(rb'"(?:apiVersion|kind)"\s*:\s*"')
_HEAD = 4096
"""Bytes of a JSON file in which an object of Kubernetes says what it is."""


def below(path: Path) -> Iterator[Path]:
    """The files of a deployment in a folder and below it, hidden ones left out; or the file itself."""
    if path.is_file():
        yield path
        return
    for entry in sorted(path.rglob("*")):
        hidden = any(part.startswith(".") for part in entry.relative_to(path).parts)
        if entry.is_file() and not hidden and kind(entry):
            yield entry


def kind(path: Path) -> str:
    """`text`, `yaml` or `docker`, or empty for a file that is no part of a deployment."""
    if path.name == "saved_model.pbtxt":  # the graph of a version
        return ""
    if _DOCKERFILE.fullmatch(path.name) and path.suffix not in _NO_DOCKERFILE:
        return "docker"
    if path.name == "Kustomization":  # kustomize knows this name too
        return "yaml"
    if path.suffix == ".json":  # as kubectl reads it too
        return "yaml" if _is_object(path) else ""
    suffix = path.with_suffix("").suffix if path.suffix == ".template" else path.suffix
    return {".config": "text", ".pbtxt": "text", ".yml": "yaml", ".yaml": "yaml"}.get(suffix, "")


def is_other(path: Path) -> bool:
    """Whether it is, by its suffix, of a kind that is not read."""
    return path.suffix in _OTHERS and not kind(path)


def _is_object(path: Path) -> bool:
    """Whether a JSON file begins as an object of Kubernetes does."""
    try:
        with path.open("rb") as file:
            return len(set(_OBJECT.findall(file.read(_HEAD)))) > 1
    except OSError:
        return False
