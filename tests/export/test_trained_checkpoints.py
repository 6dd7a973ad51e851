"""What slim's training leaves is exported to the weights that slim's own evaluation restores: same logits."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import tensorflow as tf
from slimserve.export.checkpoint.statistics import NEVER_MOVED
from slimserve.export.networks import NETWORKS
from slimserve.export.networks.rounding import tolerance
from slimserve.export.pipeline import Export, export_checkpoint
from slimserve.export.plan.options import GraphOptions, Request
from slimserve.export.types import WeightSet

from tests.support.checkpoints import tensorflow_v2
from tests.support.saved_model import SavedModel
from tests.support.slim_checkpoints import random_weights
from tests.support.slim_training import TRAINED, Training, evaluated, train

v1 = tf.compat.v1
CLASSES = 4
Averaged = Literal["", "model", "trainable"]


@pytest.fixture(autouse=True)
def known_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NETWORKS, TRAINED.name, TRAINED)


def adam() -> object:
    return v1.train.AdamOptimizer(0.01)


def rmsprop() -> object:
    return v1.train.RMSPropOptimizer(0.001, momentum=0.9)


def halves(shape: tf.TensorShape, dtype: tf.DType) -> list[int]:
    """The channels of filters in two slices."""
    return [1] * (len(shape) - 1) + [2 if len(shape) == 4 else 1]


def as_it_is(prefix: Path) -> tuple[Path, Path]:
    """What is given to the export, and what slim's evaluation restores."""
    return prefix, prefix


def renamed(prefix: Path) -> tuple[Path, Path]:
    for suffix in (".index", ".data-00000-of-00001"):
        os.rename(f"{prefix}{suffix}", prefix.with_name(f"streets v2{suffix}"))
    return prefix.with_name("streets v2"), prefix.with_name("streets v2")


def copied(prefix: Path) -> tuple[Path, Path]:
    """To a folder whose `checkpoint` file names the old one, which has gone on to other weights."""
    folder = Path(shutil.copytree(prefix.parent, prefix.parent.parent / "copy"))
    older = train(Training(optimizer=adam), prefix.parent.parent / "other")
    for suffix in (".index", ".data-00000-of-00001"):
        os.replace(f"{older}{suffix}", f"{prefix}{suffix}")
    return folder, folder / prefix.name


def in_float16(prefix: Path) -> tuple[Path, Path]:
    reader = tf.train.load_checkpoint(str(prefix))
    names = [name for name in reader.get_variable_to_shape_map() if name != "global_step"]
    half = {name: reader.get_tensor(name).astype(np.float16) for name in names}
    whole = {name: value.astype(np.float32) for name, value in half.items()}
    return tensorflow_v2(prefix.with_name("half"), half), tensorflow_v2(prefix.with_name("whole"), whole)


@dataclass(frozen=True)
class Case:
    """A checkpoint of slim's training loop.

    Attributes:
        training: how it is made.
        weights: the set that the export is asked for.
        evaluated: what slim's evaluation restores: averages of "model" or "trainable" variables, or the raw ones.
        moved: what happens to it before it is exported.
    """

    training: Training
    weights: WeightSet | None = None
    evaluated: Averaged = ""
    moved: Callable[[Path], tuple[Path, Path]] = as_it_is


CASES = {
    "momentum": Case(Training(), moved=renamed),
    "adam": Case(Training(optimizer=adam), moved=copied),
    "rmsprop, sharded": Case(Training(optimizer=rmsprop, devices=2)),
    "averages of all": Case(Training(averaged="model"), "averages", "model"),
    "averages of what is trained": Case(
        Training(optimizer=adam, averaged="trainable"), "averages", "trainable"
    ),
    "raw weights beside averages": Case(Training(averaged="model"), "raw", ""),
    "partitioned": Case(Training(partitioner=halves)),
    "partitioned averages": Case(
        Training(optimizer=rmsprop, averaged="trainable", partitioner=halves), "averages", "trainable"
    ),
    "V1, sharded, averages": Case(
        Training(optimizer=adam, averaged="model", devices=2, version=1), "averages", "model"
    ),
    "float16": Case(Training(averaged="model"), "averages", "model", in_float16),
}
SAMPLE = ("partitioned averages", "V1, sharded, averages")


def exported(path: Path, out: Path, weights: WeightSet | None = None) -> Export:
    graph = GraphOptions(geometry="valid")
    return export_checkpoint(Request(path, out, weights=weights, graph=graph))


def assert_same_logits(
    version: Path, checkpoint: Path, classes: int, averaged: str, other: bool = False
) -> None:
    """Compare on an image; of an `other` set of weights the logits must differ by much."""
    image = np.random.default_rng(4).integers(0, 256, (96, 160, 3), np.uint8)
    mean = np.array(TRAINED.preprocessing.mean_rgb, np.float32)
    (expected,) = evaluated(checkpoint, [image - mean], classes, averaged)
    with SavedModel(version) as model:
        found = model("logits", images=image[None])["logits"][0]
    assert found.shape == expected.shape == (3, 5, classes)
    difference = np.abs(found - expected).max() / np.abs(expected).max()
    bound = tolerance(TRAINED, "float32")
    assert difference > 100 * bound if other else difference <= bound


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in SAMPLE else pytest.mark.soak) for name in CASES]
)
def test_the_logits_are_those_of_slims_evaluation(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    given, restored = case.moved(train(case.training, tmp_path / "train"))
    result = exported(given, tmp_path / "out", case.weights)
    assert_same_logits(result.path, restored, case.training.classes, case.evaluated)
    if case.weights:  # the other set would not do
        other: Averaged = "" if case.evaluated else "model"
        assert_same_logits(result.path, restored, case.training.classes, other, other=True)
    assert result.record["checkpoint"]["weights"] == (case.weights or "raw")


@pytest.mark.soak
def test_fine_tuning_with_excluded_scopes_is_exported_as_it_is_evaluated(tmp_path: Path) -> None:
    """Another number of classes, the last layer trained anew."""
    start = train(Training(), tmp_path / "start")
    tuned = Training(start=start, excluded=("trained/logits",), classes=7, optimizer=rmsprop)
    prefix = train(tuned, tmp_path / "tuned")
    result = exported(prefix.parent, tmp_path / "out")
    assert result.record["classes"] == 7
    assert result.record["checkpoint"]["file"] == str(prefix)
    assert_same_logits(result.path, prefix, 7, "")


@pytest.mark.parametrize("moved", [False, True])
def test_a_training_that_never_updated_the_statistics_is_warned_of(moved: bool, tmp_path: Path) -> None:
    weights = random_weights(TRAINED, CLASSES)
    if not moved:
        weights |= {name: np.zeros_like(value) for name, value in weights.items() if "moving_mean" in name}
        weights |= {name: np.ones_like(value) for name, value in weights.items() if "variance" in name}
    result = exported(tensorflow_v2(tmp_path / "model.ckpt-5000", weights), tmp_path / "out")
    assert (NEVER_MOVED in result.warnings) is not moved
    assert (NEVER_MOVED in result.record["warnings"]) is not moved
