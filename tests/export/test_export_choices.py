"""Which weights were exported, of which file, stands in the report and in the record."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from slimserve.export import cli
from slimserve.export.networks import NETWORKS

from tests.support.broadcast import averages
from tests.support.checkpoints import tensorflow_v2
from tests.support.small_network import SMALL, small_weights

Call = Callable[..., "CompletedProcess[str]"]


@pytest.fixture(autouse=True)
def known_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NETWORKS, SMALL.name, SMALL)


def test_choices_are_said_in_the_report_and_in_the_record(tmp_path: Path, call: Call) -> None:
    """Averages in float16, below a scope, of a training folder that was copied."""
    weights = {f"tower_0/{name}": value.astype(np.float16) for name, value in small_weights().items()}
    tensorflow_v2(
        tmp_path / "model.ckpt-70", weights | weights_as_averages(weights) | {"global_step": np.int64(70)}
    )
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "/gone/train/model.ckpt-70"\n')
    result = call(
        cli.main, "--ckpt", tmp_path, "--out", tmp_path / "out", "--weights", "averages", "--top-k", "7"
    )
    assert result.returncode == 0, result.stderr
    record = json.loads((tmp_path / "out/1/assets.extra/export.json").read_text())
    assert record["checkpoint"] | {"sha256": "", "bytes": 0} == {
        "path": str(tmp_path),
        "file": str(tmp_path / "model.ckpt-70"),
        "format": "V2",
        "bytes": 0,
        "step": 70,
        "scope": "tower_0",
        "weights": "averages",
        "sha256": "",
    }
    assert record["notes"] == [
        "checkpoint names /gone/train/model.ckpt-70: model.ckpt-70 beside it is read",
        "the variables of small are below tower_0/small/, as --scope tower_0 says",
        "the moving averages are exported, as --weights says",
        f"{len(weights)} variables are float16: widened to float32",
        "--top-k is 7, and there are 3 classes: answers rank all of them",
    ]
    lines = [line.strip() for line in result.stdout.splitlines()]
    assert [line.split("  ", 1)[1] for line in lines if line.startswith("note")] == record["notes"]
    (told,) = [line for line in lines if line.startswith("checkpoint")]
    assert told.startswith(f"checkpoint  {tmp_path / 'model.ckpt-70'} (V2, ")
    assert told.endswith("), moving averages")


def weights_as_averages(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Averages that are the raw weights, so that the network is a sound one."""
    return {name: weights[name.rpartition("/")[0]] for name in averages(weights)}


@pytest.mark.parametrize("head", [1e-6, pytest.param(0.0, marks=pytest.mark.soak)])
def test_a_last_layer_that_is_hardly_trained_is_exported(head: float, tmp_path: Path, call: Call) -> None:
    """Its logits are nearly or wholly zero; the probabilities are not."""
    weights = small_weights()
    weights["small/fc8/weights"] *= np.float32(head)
    weights["small/fc8/biases"] *= 0
    path = tensorflow_v2(tmp_path / "model.ckpt-0", weights)
    result = call(cli.main, "--ckpt", path, "--out", tmp_path / "out", "--json")
    assert result.returncode == 0, result.stderr


def test_weights_that_are_no_numbers_are_named_and_nothing_is_published(tmp_path: Path, call: Call) -> None:
    weights = small_weights()
    weights["small/conv3/weights"][0, 0, 0, :3] = np.nan
    path = tensorflow_v2(tmp_path / "model.ckpt-9", weights)
    result = call(cli.main, "--ckpt", path, "--out", tmp_path / "out")
    assert result.returncode == 1
    assert f"error: small/conv3/weights in {path} holds NaN or infinite values, 3 of 576:" in result.stderr
    assert not (tmp_path / "out").exists()
