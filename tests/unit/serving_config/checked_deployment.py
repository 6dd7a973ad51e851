"""The shipped deployment in a folder of its own, and what `check` says of it."""

import shutil
from pathlib import Path

import slimserve.serving_config
from slimserve.serving_config.check.inspection import inspect

SHIPPED = Path(slimserve.serving_config.__file__).parent
FILES = [
    "models.config",
    "batching.config",
    "monitoring.config",
    "ssl.config.template",
    "docker-compose.yml",
    "Dockerfile",
    "kustomization.yaml",
    *(f"kubernetes/{path.name}" for path in SHIPPED.glob("kubernetes/*.yaml")),
]


def copy_deployment(root: Path) -> Path:
    """The shipped files, beside a models folder: versions 1 and 2 whole, 3 without a graph, 4 private."""
    folder = root / "serving_config"
    for name in FILES:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(SHIPPED / name, target)
    for version in "1234":
        graph = root / "models" / "vgg_16" / version / "saved_model.pb"
        graph.parent.mkdir(parents=True)
        graph.write_bytes(b"\x12\x00")
    (root / "models/vgg_16/3/saved_model.pb").unlink()
    (root / "models/vgg_16/4").chmod(0o700)
    return folder


def lines(folder: Path) -> list[str]:
    """What `check` says of a deployment, each line beginning with the file's name in the folder."""
    found = inspect([folder], folder.parent / "models", []).findings
    return [f"{f.path.relative_to(folder)}:{f.line}: {f.message}, {f.advice}" for f in found]


def replace(path: Path, old: str, new: str) -> None:
    """Put `new` in the place of the first `old`."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
