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

import numpy as np
import pytest

from client import Client
from tests.conftest import ROOT, run_module

CONFIG = """
model_config_list {{ config {{ name: "vgg_16" base_path: "{folder}" model_platform: "tensorflow"
  model_version_policy {{ specific {{ versions: 1 }} }} version_labels {{ key: "stable" value: 1 }} }} }}
"""


@pytest.fixture
def deployment(models: Path, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Address of an engine process that serves version 1 as stable, and its models.config."""
    shutil.copytree(models / "vgg_16" / "1", tmp_path / "vgg_16" / "1", copy_function=os.link)
    config = tmp_path / "models.config"
    config.write_text(CONFIG.format(folder=tmp_path / "vgg_16"))
    command = [sys.executable, "-m", "serving_config", "up", "--engine", "embedded", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--models-config", config], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        ready = next(filter(None, (re.match(r"ready: .* on (\S+)", line) for line in process.stdout)))
        yield ready[1], config
    finally:
        process.terminate()
        process.communicate(timeout=60)


def test_no_request_is_lost_while_a_version_is_exported_and_stable_moves(
    deployment: tuple[str, Path], demo_checkpoint: Path
) -> None:
    address, config = deployment
    stopped = threading.Event()

    def call() -> int:
        """Ask `stable` until told to stop; every answer has to be right. Return the number of answers."""
        answers = 0
        with Client(address, model="vgg_16", version_label="stable") as client:
            while not stopped.is_set():
                names = client.predict({"class_ids": np.array([0], np.int32)}, signature="labels")[
                    "class_names"
                ]
                assert names[0] == b"sky"
                answers += 1
                stopped.wait(0.02)
        return answers

    with ThreadPoolExecutor(2) as pool:
        callers = [pool.submit(call) for _ in range(2)]
        try:
            out = config.parent / "vgg_16"
            commands = [
                ("export", "--ckpt", demo_checkpoint, "--out", out, "--version", "2"),
                ("serving_config", "promote", "2", "--server", address, "--models-config", config),
                ("serving_config", "rollback", "--server", address, "--models-config", config),
            ]
            results = [run_module(*command) for command in commands]
        finally:
            stopped.set()
    assert [result.returncode for result in results] == [0, 0, 0], [result.stderr for result in results]
    assert all(caller.result() > 100 for caller in callers)
