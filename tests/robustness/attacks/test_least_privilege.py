"""A user who may read the models serves them, and one who may write a single folder exports into it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from slimserve import Client

from tests.conftest import ROOT
from tests.support.small_network import small_checkpoint

USER = 54321  # of no name and no home


def reachable_by_everyone(path: Path) -> bool:
    return all(parent.stat().st_mode & 0o001 for parent in path.resolve().parents)


def as_user_of_little(command: list[str | Path]) -> list[str]:
    """The command, run by `USER` where this one is root, and without a home.

    Where Python or this project lie in a folder closed to others, such as root's home, the user may read every file.
    """
    words = ["env", "--ignore-environment", f"PATH={os.environ['PATH']}", f"PYTHONPATH={ROOT}"]
    if os.geteuid() == 0:
        words += ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--no-new-privs"]
        places = (Path(sys.executable), Path(sys.executable).absolute().parent, ROOT)
        if not all(map(reachable_by_everyone, places)):
            words += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    return [*words, *map(str, command)]


def left_in_the_temporary_folder() -> list[Path]:
    """What the user wrote there, where it is one of its own."""
    entries = Path(tempfile.gettempdir()).iterdir() if os.geteuid() == 0 else ()
    return [path for path in entries if path.lstat().st_uid == USER]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that everyone may enter, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def exported(folder: Path) -> Path:
    """The model's folder, written by a user who may write nothing else."""
    out = folder / "models" / "small"
    out.mkdir(parents=True)
    if os.geteuid() == 0:
        shutil.chown(out, USER, USER)
    command = [sys.executable, "-m", "tests.support.small_network", "--net", "small"]
    command += ["--ckpt", str(small_checkpoint(folder / "small.ckpt")), "--out", str(out)]
    result = subprocess.run(
        as_user_of_little(command), cwd="/", capture_output=True, text=True, timeout=300, check=False
    )
    assert result.returncode == 0, result.stderr
    return out


def test_an_exporter_needs_one_folder_to_write_to(exported: Path) -> None:
    assert [entry.name for entry in exported.iterdir()] == ["1"]
    owner = USER if os.geteuid() == 0 else os.geteuid()
    assert {path.stat().st_uid for path in exported.rglob("*")} == {owner}
    assert not left_in_the_temporary_folder()


def test_a_server_needs_to_read_the_models_and_nothing_else(exported: Path) -> None:
    for path in (exported, *exported.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
        if os.geteuid() == 0:
            shutil.chown(path, 0, 0)
    before = {path: path.stat().st_mtime_ns for path in exported.rglob("*")}
    command = [sys.executable, "-m", "serving_config", "up", "--engine", "embedded", "--host", "0.0.0.0"]
    command += ["--port", "0", "--model", f"small={exported}"]
    with subprocess.Popen(
        as_user_of_little(command), cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            ready = re.fullmatch(r"ready: small version 1 on .*:(\d+)\n", process.stdout.readline())
            assert ready
            with Client(f"127.0.0.1:{ready[1]}", model="small") as client:
                assert client.classify(np.zeros((32, 48, 3), np.uint8)).top.score > 0
        finally:
            process.terminate()
            _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "warning: there is no TLS: whoever reaches the port" in errors
    assert {path: path.stat().st_mtime_ns for path in exported.rglob("*")} == before
    assert not left_in_the_temporary_folder()
    for path in (exported, *exported.rglob("*")):
        path.chmod(0o755)
