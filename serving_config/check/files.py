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
    if path.name == "saved_model.pbtxt":  # a graph of a version
        return ""
    suffix = path.with_suffix("").suffix if path.suffix == ".template" else path.suffix
    return {".config": "text", ".pbtxt": "text", ".yml": "yaml", ".yaml": "yaml"}.get(suffix, "")
