"""Exports that are killed, run out of disk or meet: versions are whole, the folder serves on, the next export works."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from slimserve import Client

from tests.conftest import ROOT

DISK = 96  # MB: four versions of the small network, the room that an export asks for, and some


@contextmanager
def faults(*arguments: object, before: tuple[str, ...] = ()) -> Iterator[subprocess.Popen[str]]:
    command = [*before, sys.executable, "-m", "tests.robustness.faults.export_faults", *map(str, arguments)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def outcomes(process: subprocess.Popen[str]) -> Counter[str]:
    output, errors = process.communicate()
    assert process.returncode == 0, errors[-5000:]
    print(output)
    return Counter(json.loads(output)["outcomes"])


@contextmanager
def serving(out: Path) -> Iterator[Client]:
    """An engine in this process that serves the versions in the model's folder, and a client of it."""
    from slimserve.serving_config.engine.server import Engine, Options
    from slimserve.serving_config.server.models_config import from_folders

    engine = Engine(Options(port=0, poll_seconds=0.2))
    try:
        engine.start(from_folders([(out.name, out)]))
        with Client(engine.address, model=out.name) as client:
            yield client
    finally:
        engine.stop(grace=0)


def calls_until_it_ends(process: subprocess.Popen[str], client: Client) -> int:
    """Call the model until the process ends and all is loaded; every call must be answered, and every version load."""
    image = np.random.default_rng(1).integers(0, 256, (48, 64, 3), np.uint8)
    answered, settled = 0, False
    while process.poll() is None or not settled:
        assert client.classify(image).top.score > 0
        answered += 1
        versions = client.status()
        assert not [status for status in versions if status.error_code]
        # A Python that ends while a thread of it loads a version aborts.
        settled = {status.state for status in versions} <= {"AVAILABLE", "END"}
        time.sleep(0.1)
    return answered


class Disturbed(NamedTuple):
    """What became of exports, and how many calls were answered meanwhile by an engine that serves their folder."""

    outcomes: Counter[str]
    answered: int


def disturbed(out: Path, *arguments: object) -> Disturbed:
    with faults("--out", out, *arguments) as process:
        while not (out / "1").exists() and process.poll() is None:
            time.sleep(0.1)
        with serving(out) as client:
            answered = calls_until_it_ends(process, client)
        return Disturbed(outcomes(process), answered)


@pytest.fixture(scope="module")
def night(small_network: Path, tmp_path_factory: pytest.TempPathFactory) -> Disturbed:
    """Exports that are killed at 2 points, the later while there is a draft, then two at once."""
    out = tmp_path_factory.mktemp("models") / "small"
    arguments = ("--ckpt", small_network, "--kills", 2, "--seed", 4, "--at-once", "--restart-every", 0)
    return disturbed(out, *arguments)


def test_killed_exports_leave_whole_versions(night: Disturbed) -> None:
    killed = {what: count for what, count in night.outcomes.items() if what.startswith("kill: ")}
    assert sum(killed.values()) == 2
    assert killed["kill: with a draft"] > 0


def test_the_folder_of_killed_exports_serves_on(night: Disturbed) -> None:
    assert night.answered > 6


def test_exports_at_once_publish_a_version_each_and_sweep_up(night: Disturbed) -> None:
    assert night.outcomes["two at once: 2 versions"] == 1


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize(("net", "kills", "seed"), [("small", 100, 1), ("small", 100, 2), ("vgg_16", 10, 1)])
def test_after_every_kill_an_export_succeeds(
    net: str, kills: int, seed: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    checkpoint = request.getfixturevalue("demo_checkpoint" if net == "vgg_16" else "small_network")
    arguments = ("--ckpt", checkpoint, "--net", net, "--kills", kills, "--seed", seed)
    killed, answered = disturbed(tmp_path / net, *arguments)
    assert sum(killed.values()) == kills
    assert answered > kills


@pytest.mark.soak
def test_eight_exports_at_once_publish_a_version_each(small_network: Path, tmp_path: Path) -> None:
    with faults("--ckpt", small_network, "--out", tmp_path / "small", "--race", 8) as process:
        assert outcomes(process) == {"race: 8 versions": 1}


@pytest.fixture
def small_disk(tmp_path: Path) -> list[str]:
    """The command before another that mounts a small disk at `tmp_path`, for that other and its children alone."""
    mount = f"mount -t tmpfs -o size={DISK}m tmpfs '{tmp_path}' && exec \"$@\""
    root = [] if os.geteuid() == 0 else ["--map-root-user"]
    command = ["unshare", "--mount", *root, "sh", "-c", mount, "sh"]
    tried = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(
            f"a small disk cannot be mounted here, as root in a container could: {tried.stderr.strip()}"
        )
    return command


@pytest.mark.parametrize(("points", "restart_every"), [(1, 0), pytest.param(20, 1, marks=pytest.mark.soak)])
def test_a_disk_that_fills_up_is_one_line_and_leaves_nothing(
    small_network: Path, small_disk: list[str], tmp_path: Path, points: int, restart_every: int
) -> None:
    arguments = ("--ckpt", small_network, "--out", tmp_path / "small", "--full", points)
    with faults(*arguments, "--restart-every", restart_every, before=tuple(small_disk)) as process:
        filled = outcomes(process)
    assert filled == {"full: refused": points}
