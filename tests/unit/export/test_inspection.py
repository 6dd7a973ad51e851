"""`inspect` says what a checkpoint holds and what an export would do, and writes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from slimserve.export import cli
from slimserve.export.networks import NETWORKS

from tests.support.broadcast import averages, variables
from tests.support.checkpoints import tensorflow_v2

RAW = variables(NETWORKS["inception_v1"])
FIRST = next(iter(RAW))
Call = Callable[..., "CompletedProcess[str]"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint as training with a moving average leaves it."""
    beside = {f"{FIRST}/Momentum": np.zeros(2, np.float32), "global_step": np.int64(12345)}
    return tensorflow_v2(tmp_path_factory.mktemp("train") / "model.ckpt-12345", RAW | averages(RAW) | beside)


def inspected(call: Call, path: Path, *options: str) -> dict[str, object]:
    before = sorted(path.parent.rglob("*"))
    result = call(cli.main, "inspect", path, "--json", *options)
    assert result.returncode == 0, result.stderr
    assert sorted(path.parent.rglob("*")) == before
    found: dict[str, object] = json.loads(result.stdout)
    return found


def test_everything_that_a_checkpoint_holds_is_told(trained: Path, call: Call) -> None:
    found = inspected(call, trained, "--weights", "averages")
    assert found.pop("bytes") > 40e6
    assert found == {
        "path": str(trained),
        "file": str(trained),
        "format": "V2",
        "step": 12345,
        "tensors": 462,
        "dtypes": {"float32": 461, "int64": 1},
        "network": "inception_v1",
        "scope": "",
        "segments": False,
        "classes": 5,
        "weights": {
            "averages": {"complete": True, "variables": 230, "missing": []},
            "raw": {"complete": True, "variables": 230, "missing": []},
        },
        "left_over": found["left_over"],
        "notes": ["the moving averages are exported, as --weights says"],
        "export": {
            "command": f"python -m export --ckpt {trained} --weights averages",
            "weights": "averages",
            "labels": "numbers (no labels file)",
            "preprocessing": "inception",
            "crop": 224,
            "warnings": [],
            "output_stride": None,
            "writes": "models/inception_v1/1",
        },
    }
    reasons = {left["why"].split(",")[0]: left["tensors"] for left in found["left_over"]}
    assert reasons["the other set of weights"] == 230
    assert reasons["the step"] == 1
    assert sum(reasons.values()) == 232


def test_what_an_export_would_ask_is_told(trained: Path, call: Call) -> None:
    found = inspected(call, trained)
    assert found["classes"] == 5
    assert found["export"]["refused"].endswith("say --weights averages or --weights raw")


def test_people_get_it_in_lines(trained: Path, call: Call) -> None:
    lines = call(cli.main, "inspect", trained, "--weights", "raw").stdout.splitlines()
    told = [line.split(None, 1) for line in lines]
    assert ["step", "12,345"] in told
    assert ["network", "inception_v1: classifies only"] in told
    assert ["weights", "moving averages, all 230 variables"] in told
    assert ["next", f"python -m export --ckpt {trained} --weights raw"] in told


def test_an_incomplete_network_says_what_is_missing(tmp_path: Path, call: Call) -> None:
    path = tensorflow_v2(tmp_path / "m", {name: RAW[name] for name in RAW if name != FIRST})
    found = inspected(call, path)
    assert found["weights"]["raw"] == {"complete": False, "variables": 229, "missing": [FIRST]}
    assert f"lacks {FIRST}" in found["export"]["refused"]


def test_a_checkpoint_of_no_known_network_is_still_told(tmp_path: Path, call: Call) -> None:
    path = tensorflow_v2(
        tmp_path / "m", {"EfficientNet/x": np.zeros(3, np.float16), "name": np.array([b"a"])}
    )
    found = inspected(call, path)
    assert found["network"] is None
    assert found["dtypes"] == {"float16": 1, "strings or unknown": 1}
    assert "its variables start with EfficientNet/" in found["export"]["refused"]


def test_a_file_that_is_no_checkpoint_is_an_error_that_says_what_it_is(tmp_path: Path, call: Call) -> None:
    (tmp_path / "vgg.npy").write_bytes(b"\x93NUMPY\x01\0")
    result = call(cli.main, "inspect", tmp_path / "vgg.npy")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(
        f"error: {tmp_path / 'vgg.npy'} is not a TensorFlow checkpoint but a NumPy array"
    )
