"""A second version exported, promoted and rolled back beside the first, while clients call."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from slimserve import Client

from tests.conftest import ROOT, run_module

CONFIG = """
model_config_list {{ config {{ name: "{folder.name}" base_path: "{folder}" model_platform: "tensorflow"
  model_version_policy {{ specific {{ versions: 1 }} }} version_labels {{ key: "stable" value: 1 }} }} }}
"""


class Deployment(NamedTuple):
    """An engine process that serves version 1 as stable.

    Attributes:
        address: of the engine.
        config: its models.config.
        folder: the model's.
        export: the command that exports the next version.
    """

    address: str
    config: Path
    folder: Path
    export: tuple[str | Path, ...]


@pytest.fixture
def deployment(net: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deployment]:
    folder = tmp_path / net
    models, checkpoint, module = (
        ("models", "demo_checkpoint", "export")
        if net == "vgg_16"
        else ("small_models", "small_network", "tests.support.small_network")
    )
    shutil.copytree(request.getfixturevalue(models) / net, folder, copy_function=os.link)
    export = (module, "--net", net, "--ckpt", request.getfixturevalue(checkpoint), "--out", folder)
    config = tmp_path / "models.config"
    config.write_text(CONFIG.format(folder=folder))
    command = [sys.executable, "-m", "serving_config", "up", "--engine", "embedded", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--models-config", config], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        ready = next(filter(None, (re.match(r"ready: .* on (\S+)", line) for line in process.stdout)))
        yield Deployment(ready[1], config, folder, export)
    finally:
        process.terminate()
        process.communicate(timeout=60)


@pytest.mark.parametrize("net", ["small", pytest.param("vgg_16", marks=pytest.mark.soak)])
def test_no_request_is_lost_while_a_version_is_exported_and_stable_moves(deployment: Deployment) -> None:
    address, config, folder, export = deployment
    labels = (folder / "1" / "assets" / "labels.tsv").read_text()
    stopped = threading.Event()

    def call() -> int:
        """Ask `stable` until told to stop; every answer has to be right. Return the number of answers."""
        answers = 0
        with Client(address, model=folder.name, version_label="stable") as client:
            while not stopped.is_set():
                names = client.predict({"class_ids": np.array([0], np.int32)}, signature="labels")[
                    "class_names"
                ]
                assert names[0].decode() == labels.splitlines()[0].split("\t")[-1]
                answers += 1
                stopped.wait(0.02)
        return answers

    with ThreadPoolExecutor(2) as pool:
        callers = [pool.submit(call) for _ in range(2)]
        try:
            commands = [
                (*export, "--version", "2"),
                ("serving_config", "promote", "2", "--server", address, "--models-config", config),
                ("serving_config", "rollback", "--server", address, "--models-config", config),
            ]
            results = [run_module(*command) for command in commands]
        finally:
            stopped.set()
    assert [result.returncode for result in results] == [0, 0, 0], [result.stderr for result in results]
    assert all(caller.result() > 100 for caller in callers)
