"""`python -m export.demo`: what it writes, and what it refuses."""

from __future__ import annotations

import functools
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from slimserve.export.checkpoint.contents import open_checkpoint
from slimserve.export.demo import __main__ as demo_checkpoint_command
from slimserve.export.demo import training
from slimserve.export.demo.random_weights import random_checkpoint
from slimserve.export.demo.scenes import CLASS_NAMES
from tf_slim.nets import vgg

from tests.conftest import ROOT, run_module

# Runs the command with a small checkpoint in place of the full-size one, which takes most of a minute.
SMALL = """
import resource, sys
import numpy as np
import slimserve.export.demo.training
from slimserve.export.demo.__main__ import main
tensors = {"vgg_16/fc8/weights": np.zeros((1, 1, 4096, 10), np.float32), "global_step": np.array(0)}
slimserve.export.demo.training.demo_checkpoint = lambda seed, progress: tensors
"""


def run_small(*arguments: str | Path, before: str = "") -> subprocess.CompletedProcess[str]:
    script = f"{SMALL}{before}\nsys.exit(main({[str(argument) for argument in arguments]}))"
    return subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture
def write(monkeypatch: pytest.MonkeyPatch, call: Callable[..., Any]) -> Callable[..., Any]:
    """The command with these arguments, in this process, writing a small checkpoint too."""
    tensors = {"vgg_16/fc8/weights": np.zeros((1, 1, 4096, 10), np.float32), "global_step": np.array(0)}
    monkeypatch.setattr(training, "demo_checkpoint", lambda seed, progress: tensors)
    return functools.partial(call, demo_checkpoint_command.main)


def refused(result: subprocess.CompletedProcess[str], message: str) -> None:
    lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert result.returncode == 1
    assert len(lines) == 1
    assert message in lines[0]
    assert "Traceback" not in result.stderr


def test_tensors_are_those_of_slim(demo_checkpoint: Path) -> None:
    with tf.Graph().as_default():
        vgg.vgg_16(tf.zeros([1, 224, 224, 3]), num_classes=len(CLASS_NAMES), is_training=False)
        slim = {
            v.op.name: (tuple(v.shape.as_list()), v.dtype.base_dtype.as_numpy_dtype)
            for v in tf.compat.v1.model_variables()
        }
    with open_checkpoint(demo_checkpoint) as checkpoint:
        written = {name: (spec.shape, spec.dtype.type) for name, spec in checkpoint.tensors.items()}
    assert written == slim | {"vgg_16/mean_rgb": ((3,), np.float32), "global_step": ((), np.int64)}


def test_checkpoint_is_one_v1_file_with_its_labels_beside_it(demo_checkpoint: Path) -> None:
    labels = Path(f"{demo_checkpoint}.labels.tsv")
    assert sorted(demo_checkpoint.parent.glob(".*")) == []
    assert labels.read_text() == "".join(f"demo{i:02d}\t{name}\n" for i, name in enumerate(CLASS_NAMES))
    with open_checkpoint(demo_checkpoint) as checkpoint:
        assert checkpoint.format == "V1"


def test_mean_colour_is_that_of_the_preprocessing(weights: dict[str, np.ndarray]) -> None:
    np.testing.assert_allclose(weights["vgg_16/mean_rgb"], [123.68, 116.78, 103.94], rtol=1e-6)


def test_v2_is_written_on_request(tmp_path: Path, write: Callable[..., Any]) -> None:
    result = write(tmp_path / "vgg_16.ckpt", "--format", "v2")
    assert result.returncode == 0, result.stderr
    assert {file.name for file in tmp_path.iterdir()} == {
        "vgg_16.ckpt.index", "vgg_16.ckpt.data-00000-of-00001", "vgg_16.ckpt.labels.tsv",
    }  # fmt: skip
    assert tf.train.load_checkpoint(str(tmp_path / "vgg_16.ckpt")).get_tensor("global_step") == 0


def test_checkpoint_that_is_there_is_kept(tmp_path: Path, write: Callable[..., Any]) -> None:
    checkpoint = tmp_path / "vgg_16.ckpt"
    checkpoint.write_text("mine")
    refused(write(checkpoint), "--force replaces it")
    assert checkpoint.read_text() == "mine"


def test_force_replaces_a_checkpoint(tmp_path: Path, write: Callable[..., Any]) -> None:
    checkpoint = tmp_path / "vgg_16.ckpt"
    checkpoint.write_text("old")
    assert write(checkpoint, "--force").returncode == 0
    assert tf.train.load_checkpoint(str(checkpoint)).has_tensor("global_step")


def test_folder_that_is_missing_is_named(tmp_path: Path, write: Callable[..., Any]) -> None:
    refused(
        write(tmp_path / "no" / "vgg_16.ckpt"),
        f"{tmp_path / 'no'} is not a folder",
    )


def test_negative_seed_is_a_usage_error(tmp_path: Path) -> None:
    assert run_module("export.demo", tmp_path / "vgg_16.ckpt", "--seed", "-1").returncode == 2


def test_full_disk_leaves_nothing(tmp_path: Path) -> None:
    limit = "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))"
    refused(run_small(tmp_path / "vgg_16.ckpt", before=limit), "cannot be written: File too large")
    assert list(tmp_path.iterdir()) == []


def test_interrupt_while_writing_leaves_nothing(tmp_path: Path) -> None:
    interrupt = """
import os, signal, slimserve.export.demo.checkpoint_writer as writer
write = writer.write_checkpoint
def interrupted(path, tensors, format, progress):
    write(path, tensors, format, lambda done: os.kill(os.getpid(), signal.SIGINT))
writer.write_checkpoint = interrupted
"""
    result = run_small(tmp_path / "vgg_16.ckpt", before=interrupt)
    assert result.returncode == 130
    assert list(tmp_path.iterdir()) == []


@pytest.mark.soak
def test_interrupt_while_fitting_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "export.demo", str(tmp_path / "vgg_16.ckpt")]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        time.sleep(4)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=120)
    assert process.returncode == 130
    assert stderr == "stopped: nothing was written\n"
    assert list(tmp_path.iterdir()) == []


def test_random_layers_below_fc8_depend_on_the_seed_alone() -> None:
    few, many = random_checkpoint(3), random_checkpoint(1000)
    assert few["vgg_16/fc8/weights"].shape == (1, 1, 4096, 3)
    assert many["vgg_16/fc8/biases"].shape == (1000,)
    assert all(np.array_equal(few[name], many[name]) for name in few if "fc8" not in name)


def test_random_convolutions_have_the_spread_of_he() -> None:
    weights = random_checkpoint(3, seed=1)["vgg_16/conv3/conv3_1/weights"]
    assert weights.std() == pytest.approx(np.sqrt(2 / (3 * 3 * 128)), rel=0.01)
