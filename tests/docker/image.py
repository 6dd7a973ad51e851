"""An image that holds the embedded engine under the server's name: what it needs of this machine, at the same paths."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from tests.docker.engine import Docker
from tests.support.sources import ROOT

SERVER = "/usr/bin/tensorflow_model_server"
_NEEDED = ("tensorflow", "grpcio", "grpcio-health-checking", "protobuf", "numpy")
_PROGRAMS = ("bash", "grep", "sleep", "cat", "head", "tail", "id", "touch")
_LEFT_OUT = ("include", "test", "tests", "idlelib", "ensurepip", "site-packages", "__pycache__")


def make(docker: Docker, name: str) -> None:
    """Import it into the engine under that name."""
    room = ROOT / "serving_config"
    files = {path: path for path in [*_interpreter(), *_distributions(_NEEDED), *_program(*_PROGRAMS)]}
    files |= {path: path for path in room.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    files[Path(SERVER)] = Path(__file__).with_name("model_server.py")
    files |= {path: path for path in libraries(path for path in files.values() if _is_elf(path))}
    first_line = f"#!{Path(sys.executable).resolve()}\n"
    head = f"{first_line}import sys\nsys.path += {[*sys.path, str(ROOT)]!r}\n"
    _load(docker, name, files, {Path(SERVER): head})


def of_program(docker: Docker, name: str, program: str, *arguments: str) -> bool:
    """Import an image that runs a program of this machine; False where there is none."""
    if shutil.which(program) is None:
        return False
    files = {path: path for path in _program(program, *_PROGRAMS)}
    files |= {path: path for path in libraries(files)}
    command = ", ".join(f'"{word}"' for word in (shutil.which(program), *arguments))
    _load(docker, name, files, {}, f"ENTRYPOINT [{command}]")
    return True


def _load(docker: Docker, name: str, files: dict[Path, Path], heads: dict[Path, str], *changes: str) -> None:
    """Import the files, by their paths in the image; some of them behind a head of text."""
    words = [word for change in changes for word in ("--change", change)]
    command = ["docker", "import", *words, "-", name]
    process = subprocess.Popen(
        command, env=docker.environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    assert process.stdin is not None
    with tarfile.open(fileobj=process.stdin, mode="w|") as tar:
        temporary = tarfile.TarInfo("tmp")  # a tmpfs mounted there is given its mode
        temporary.type, temporary.mode = tarfile.DIRTYPE, 0o1777
        tar.addfile(temporary)
        for target, source in files.items():
            data = heads.get(target, "").encode() if target in heads else b""
            info = tarfile.TarInfo(str(target).lstrip("/"))
            info.size = source.stat().st_size + len(data)
            executable = os.access(source, os.X_OK) or target in heads
            info.mode = 0o755 if executable else 0o644
            with source.open("rb") as file:
                tar.addfile(info, io.BytesIO(data + file.read()) if data else file)
    process.stdin.close()
    assert process.wait() == 0


def _interpreter() -> Iterator[Path]:
    yield Path(sys.executable).resolve()
    yield from _files(Path(os.__file__).parent)


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name in _LEFT_OUT and path.is_dir():
            continue
        if path.is_dir():
            yield from _files(path)
        elif path.is_file():
            yield path


def _distributions(names: Iterable[str]) -> Iterator[Path]:
    """The files of installed distributions, and of all that they require."""
    seen: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        found = metadata.distribution(name)
        for requirement in map(Requirement, found.requires or []):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
        for file in found.files or []:
            path = Path(str(found.locate_file(file)))
            if ".." not in file.parts and not set(file.parts) & {"include", "tests"} and path.is_file():
                yield path


def _program(*names: str) -> Iterator[Path]:
    for name in names:
        found = shutil.which(name)
        assert found, f"{name} is not on PATH"
        yield Path(found)


def libraries(programs: Iterable[Path]) -> set[Path]:
    """The shared libraries of this machine that the loader finds for them."""
    command = ["ldd", *map(str, programs)]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = re.findall(r"^\t(?:\S+ => )?(/\S+) \(", listed, re.MULTILINE)
    return {Path(os.path.normpath(path)) for path in found}


def _is_elf(path: Path) -> bool:
    return (os.access(path, os.X_OK) or ".so" in path.name) and path.open("rb").read(4) == b"\x7fELF"
