"""What the wheel and the source archive hold."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from tests.unit.packaging.conftest import PIP

ROOMS = {"client": "slimserve", "export": "slimserve/export", "serving_config": "slimserve/serving_config"}


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def metadata(wheel: Path, file: str) -> str:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(f".dist-info/{file}"))
        return archive.read(name).decode()


def test_its_top_level_is_slimserve_and_the_shim(wheel: Path) -> None:
    top = {PurePosixPath(name).parts[0] for name in names(wheel)}
    assert {name for name in top if not name.endswith(".dist-info")} == {"slimserve", "export"}


@pytest.mark.parametrize("room", ROOMS)
def test_it_holds_every_file_of_a_room(room: str, source: Path, wheel: Path) -> None:
    files = [file for file in (source / room).rglob("*") if file.is_file()]
    assert files
    expected = {f"{ROOMS[room]}/{file.relative_to(source / room).as_posix()}" for file in files}
    assert expected - names(wheel) == set()


def test_it_holds_nothing_else(source: Path, wheel: Path) -> None:
    mapped = {**ROOMS, "installed/export": "export"}
    expected = {
        f"{target}/{file.relative_to(source / folder).as_posix()}"
        for folder, target in mapped.items()
        for file in (source / folder).rglob("*")
    }
    assert {name for name in names(wheel) - expected if ".dist-info/" not in name} == set()


def test_it_is_typed_and_licensed(wheel: Path) -> None:
    assert "slimserve/py.typed" in names(wheel)
    assert "Apache License" in metadata(wheel, "licenses/LICENSE")


def test_the_client_has_no_upper_bounds(wheel: Path) -> None:
    lines = metadata(wheel, "METADATA").splitlines()
    base = [line for line in lines if line.startswith("Requires-Dist") and "extra ==" not in line]
    assert base
    assert [
        line for line in [*base, *(line for line in lines if "Requires-Python" in line)] if "<" in line
    ] == []


def test_the_source_archive_builds_the_same_wheel(source: Path, wheel: Path, tmp_path: Path) -> None:
    build = f"import setuptools.build_meta as build; build.build_sdist({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=source, check=True, capture_output=True)
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    unpacked = next((tmp_path / "unpacked").iterdir())
    command = ["wheel", "--no-index", "--no-build-isolation", "--no-deps", "-w", str(tmp_path), str(unpacked)]
    subprocess.run([*PIP, *command], check=True, cwd=tmp_path)
    assert names(next(tmp_path.glob("*.whl"))) == names(wheel)
