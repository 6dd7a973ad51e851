"""Packages of the public registries that hold image test suites, fetched by name and read from their archives."""

from __future__ import annotations

import csv
import hashlib
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_SOURCES = Path("/etc/apt/sources.list.d/debian.sources")


class Suite(NamedTuple):
    """One package: who fetches it, its name there, the archive that it comes as, and that one's digest."""

    fetched_by: str
    package: str
    archive: str
    sha256: str


def suites() -> list[Suite]:
    with open(Path(__file__).with_name("suites.tsv"), encoding="ascii", newline="") as file:
        return [Suite(**row) for row in csv.DictReader(file, delimiter="\t")]


def fetch(suite: Suite, folder: Path) -> Path:
    """Give the archive, in `folder`. Raises OSError, in words, where it cannot be had as it was."""
    archive = folder / suite.archive
    if not archive.exists():
        commands = {"pip": _pip, "npm": _npm, "apt": _apt}[suite.fetched_by](suite, folder)
        for command in commands:
            if shutil.which(command[0]) is None:
                raise OSError(f"{command[0]} is not installed")
            result = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, check=False, timeout=300
            )
            if not archive.exists() and command is commands[-1]:
                last = (result.stderr.strip().splitlines() or ["it said nothing"])[-1]
                raise OSError(f"{suite.fetched_by} does not give {suite.archive}: {last}")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    if digest != suite.sha256:
        raise OSError(f"{suite.archive} is not the file that it was")
    return archive


def _pip(suite: Suite, folder: Path) -> list[list[str]]:
    options = ["--no-binary", ":all:", "--no-deps", "--no-build-isolation", "--quiet"]
    return [[sys.executable, "-m", "pip", "download", *options, suite.package]]


def _npm(suite: Suite, folder: Path) -> list[list[str]]:
    return [["npm", "pack", "--silent", suite.package]]


def _apt(suite: Suite, folder: Path) -> list[list[str]]:
    """Sources are read beside the machine's own lists, which stay as they are."""
    lists = folder / "apt"
    (lists / "parts").mkdir(parents=True, exist_ok=True)
    (lists / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    if not _SOURCES.exists():
        raise OSError("the machine's list of Debian's packages is not where it usually is")
    (lists / "parts" / "source.sources").write_text(
        _SOURCES.read_text().replace("Types: deb\n", "Types: deb-src\n")
    )
    options = {
        "Dir::Etc::SourceList": "/dev/null",
        "Dir::Etc::SourceParts": lists / "parts",
        "Dir::State::Lists": lists / "lists",
    }
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    update = ["apt-get", "update", "-qq", *words]
    source = ["apt-get", "source", "--download-only", "-qq", *words, suite.package]
    return [source] if any((lists / "lists").glob("*Sources*")) else [update, source]


def files(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each file in an archive; nothing is unpacked to the disk."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as opened:
            for entry in opened.infolist():
                if not entry.is_dir():
                    yield entry.filename, opened.read(entry)
        return
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile():
                content = tar.extractfile(member)
                assert content is not None
                yield member.name, content.read()
