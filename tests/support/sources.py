"""Which files of this checkout the making of something depends on, by its imports."""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
_ROOMS = {"slimserve.export": ROOT / "export", "tests": ROOT / "tests"}
# What decides on the numbers and on what can be exported, beside the sources.
_PACKAGES = ("tensorflow", "tensorflow-cpu", "tf-slim", "numpy", "protobuf")
_SETTINGS = ("ONEDNN_", "DNNL_", "TF_ENABLE_ONEDNN_OPTS")


def digest(modules: Iterable[str], *arguments: str) -> str:
    """A key that changes with the sources of these modules and of all that they import, and with the arguments.

    It changes with the versions of the libraries, the processor and the settings of its kernels as well.
    """
    state = hashlib.sha256()
    for file in sorted(sources(modules)):
        state.update(f"{file.relative_to(ROOT)}\0".encode() + file.read_bytes())
    versions = [f"{each.metadata['Name']} {each.version}" for each in _distributions()]
    settings = [f"{name}={value}" for name, value in os.environ.items() if name.startswith(_SETTINGS)]
    for text in (*arguments, sys.version, _processor(), *sorted(versions), *sorted(settings)):
        state.update(f"{text}\0".encode())
    return state.hexdigest()[:16]


def sources(modules: Iterable[str]) -> set[Path]:
    """The files of these modules, of those that they import, at once or later, and the data files beside them.

    Of a package that is not imported by its own name, what it imports for its users does not count.
    """
    waiting, found = set(modules), set()
    while waiting:
        file = _file(waiting.pop())
        if file is None or file in found:
            continue
        found.add(file)
        found.update(path for path in file.parent.iterdir() if path.is_file() and path.suffix != ".py")
        waiting.update(_imports(file))
    return found


def _file(module: str) -> Path | None:
    """Where the module lies, if it is one of this checkout's."""
    for name, folder in _ROOMS.items():
        if module == name or module.startswith(f"{name}."):
            path = folder.joinpath(*module.removeprefix(name).split("."))
            return next(
                (file for file in (path / "__init__.py", path.with_suffix(".py")) if file.is_file()), None
            )
    return None


def _module(file: Path) -> tuple[str, bool]:
    """The file's module, and whether it is a package."""
    name, folder = next(room for room in _ROOMS.items() if file.is_relative_to(room[1]))
    parts = [name, *file.relative_to(folder).with_suffix("").parts]
    return (".".join(parts[:-1]), True) if parts[-1] == "__init__" else (".".join(parts), False)


def _imports(file: Path) -> Iterator[str]:
    text = file.read_text()
    module, is_package = _module(file)
    parents = module.split(".")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = parents[: len(parents) - node.level + is_package] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names = [f"{base}.{alias.name}" for alias in node.names]
            yield from (name if _file(name) else base for name in names)
    if is_package and "pkgutil" in text:  # it imports whatever lies in it
        yield from (_module(path)[0] for path in file.parent.rglob("*.py"))


def _distributions() -> Iterator[importlib.metadata.Distribution]:
    for name in _PACKAGES:
        yield from importlib.metadata.distributions(name=name)


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")
